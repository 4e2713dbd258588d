local mc = require "mooncast"
local Wires = require "spec.support.wires"
local clean = require "spec.support.clean"

local Peer = mc.actor "TransportPeer"

function Peer:echo(...) return ... end
function Peer:fail() error({ code = 7 }) end
function Peer:node() return mc.node() end

describe("mc.transport", function()
  clean(setup, teardown)
  local wires, peer

  local function link(cut)
    wires = Wires.open(cut)
    peer = mc.spawn { Peer, on = wires.nodes[2] }
  end

  local function unlink()
    mc.stop(peer)
    wires:close()
  end

  local function call(...) return wires.a:call("TransportPeer", mc.id(peer), ...) end

  for _, cut in ipairs { 1000000, 7, 1 } do
    it("carries calls, values and errors, cut into pieces of at most " .. cut .. " [I13]", function()
      link(cut)
      assert.same({ 1, "x", { y = { 2, 3 } } }, { call("echo", 1, "x", { y = { 2, 3 } }) })
      assert.equal(wires.nodes[2], call "node")
      local ok, e = pcall(call, "fail")
      assert.is_false(ok)
      assert.same({ code = 7 }, e)
      assert.same({ n = 2 }, table.pack(call("echo", nil, nil)))
      unlink()
    end)
  end

  it("ends the link, and what waits on it, when bytes are malformed [D5]", function()
    link()
    local ok, e = wires.b:inject "\xff\xff"
    assert.is_false(ok)
    assert.equal("malformed", e.code)
    assert.equal("malformed", select(2, wires.b:state()))
    unlink()
  end)

  it("fails calls to a node whose link has ended", function()
    link()
    assert.equal(1, call("echo", 1))
    wires.a:close()
    local ok, e = pcall(call, "echo", 1)
    assert.is_false(ok)
    assert.is_true(e.code == "unknown_node" or e.code == "node_down")
    unlink()
  end)

  it("refuses another version of the wire, and says both [E5]", function()
    local why
    local refusing = mc.transport { send = function() end, down = function(_, reason) why = reason end }
    local hello = "\x84\x00\x02\x61x\x01" -- version 2, node x
    local ok, e = pcall(refusing.receive, refusing, "\x5a" .. (">s4"):pack(hello))
    assert.is_false(ok)
    assert.same({ "version_mismatch", 1, 2 }, { e.code, e.ours, e.theirs })
    assert.equal("the other side speaks version 2 of the wire, this node version 1", e.message)
    assert.matches("^version_mismatch: ", why)
  end)

  it("refuses a link that does not begin with a hello, or is to this very node", function()
    local sent = {}
    local stranger = mc.transport { send = function(bytes) sent[#sent + 1] = bytes end }
    assert.equal(1, #sent)
    local ok, e = pcall(stranger.receive, stranger, "no hello")
    assert.is_false(ok)
    assert.equal("malformed", e.code)
    local own = mc.transport { send = function() end }
    ok, e = pcall(own.receive, own, sent[1])
    assert.is_false(ok)
    assert.equal("not_permitted", e.code)
    assert.has_error(function() mc.transport {} end, "mc.transport wants a table with a function send")
  end)
end)
