%% What Erlang does of the same: prints lines `figure value`. With two schedulers the sender and the
%% receiver of casts sit on one each; with one, everything is on it.
%%
%%     erlc -o build/bench spec/bench/erlang_peer.erl
%%     erl +S 2 -noshell -pa build/bench -run erlang_peer main calls 0.2
-module(erlang_peer).
-behaviour(gen_server).
-export([main/1, init/1, handle_call/3, handle_cast/2]).

-define(CALLERS, 100).
-define(ACTORS, 100000).
-define(RING, 503).
-define(HOPS, 100000).

main([Group, Argument]) ->
    Seconds = list_to_float(Argument),
    Schedulers = erlang:system_info(schedulers_online),
    case Group of
        "calls" when Schedulers == 1 -> same_node(Seconds);
        "calls" -> same_node(Seconds), across(Seconds);
        "actors" -> actors()
    end,
    halt().

same_node(Seconds) ->
    {ok, Server} = gen_server:start(?MODULE, [], []),
    report("same_node_call", rate(fun(N) -> calls(Server, N) end, Seconds)),
    report("same_node_calls_from_100", rate(fun(N) -> calls_from_many(Server, N) end, Seconds)).

across(Seconds) ->
    report("round_trip", on_scheduler(1, fun() -> rate(sender(fun call_to_scheduler/2), Seconds) end)),
    report("cast", on_scheduler(1, fun() -> rate(sender(fun cast/2), Seconds) end)),
    report("gen_server_cast", on_scheduler(1, fun() -> rate(sender(fun gen_cast/2), Seconds) end)).

actors() ->
    Spawns = spawns(),
    report("spawn", median([Rate || {Rate, _} <- Spawns])),
    report("actor_bytes", median([Bytes || {_, Bytes} <- Spawns])),
    [thread_ring() || _ <- lists:seq(1, 10)],
    report("thread_ring", median([thread_ring() || _ <- lists:seq(1, 3)])).

report(Name, Value) -> io:format("~s ~w~n", [Name, Value]).

%% How often per second: Batch(N) does it N times. Once to warm up, then with more until it takes long enough.
rate(Batch, Seconds) -> rate(Batch, Seconds, 100).
rate(Batch, Seconds, N) ->
    Took = timed(fun() -> Batch(N) end),
    if
        Took >= Seconds -> N / Took;
        true -> rate(Batch, Seconds, ceil(N * min(10, 1.2 * Seconds / max(Took, Seconds / 100))))
    end.

timed(Work) ->
    Start = erlang:monotonic_time(nanosecond),
    Work(),
    (erlang:monotonic_time(nanosecond) - Start) / 1.0e9.

median(List) -> lists:nth((length(List) + 1) div 2, lists:sort(List)).

%% gen_server
init([]) -> {ok, 0}.
handle_call({echo, Value}, _From, State) -> {reply, Value, State};
handle_call(count, _From, State) -> {reply, State, State}.
handle_cast({take, _}, State) -> {noreply, State + 1}.

calls(_, 0) -> ok;
calls(Server, N) ->
    N = gen_server:call(Server, {echo, N}),
    calls(Server, N - 1).

calls_from_many(Server, N) ->
    Callers = [spawn_monitor(fun() -> calls(Server, ceil(N / ?CALLERS)) end) || _ <- lists:seq(1, ?CALLERS)],
    [receive {'DOWN', Monitor, process, Pid, normal} -> ok end || {Pid, Monitor} <- Callers].

%% The classic: each process sends the token to the next. One hop is one message.
thread_ring() ->
    Main = self(),
    First = spawn(fun() -> receive {next, Next} -> hop(Next, Main) end end),
    Last = lists:foldl(fun(_, Next) -> spawn(fun() -> hop(Next, Main) end) end, First, lists:seq(2, ?RING)),
    First ! {next, Last},
    Took = timed(fun() -> First ! ?HOPS, receive finished -> ok end end),
    First ! stop,
    ?HOPS / Took.

hop(Next, Main) ->
    receive
        stop -> Next ! stop;
        0 -> Main ! finished, hop(Next, Main);
        N -> Next ! N - 1, hop(Next, Main)
    end.

%% The first round grows what the virtual machine holds, the second is warm.
spawns() -> [spawn_many() || _ <- lists:seq(1, 3)].
spawn_many() ->
    garbage_collect(),
    Before = erlang:memory(processes),
    Start = erlang:monotonic_time(nanosecond),
    Pids = [spawn(fun() -> receive stop -> ok end end) || _ <- lists:seq(1, ?ACTORS)],
    Took = (erlang:monotonic_time(nanosecond) - Start) / 1.0e9,
    Bytes = (erlang:memory(processes) - Before) / ?ACTORS,
    [Pid ! stop || Pid <- Pids],
    {?ACTORS / Took, Bytes}.

%% The receiver on the second scheduler. `scheduler` binds a process to one, as the virtual machine's
%% own tests do.
on_scheduler(Scheduler, Work) ->
    Main = self(),
    spawn_opt(fun() -> Main ! {result, Work()} end, [{scheduler, Scheduler}]),
    receive {result, Result} -> Result end.

sender(Batch) ->
    fun(N) ->
        Receiver = spawn_opt(fun taking/0, [{scheduler, 2}]),
        Batch(Receiver, N),
        Receiver ! stop
    end.

%% As taking plain messages is the least; the call behind them is answered when all were handled.
taking() -> taking(0).
taking(Count) ->
    receive
        {take, _} -> taking(Count + 1);
        {'$gen_cast', {take, _}} -> taking(Count + 1);
        {echo, From, Value} -> From ! {answer, Value}, taking(Count);
        {count, From} -> From ! {counted, Count}, taking(Count);
        stop -> ok
    end.

cast(Receiver, N) ->
    send(Receiver, N),
    counted(Receiver, N).

send(_, 0) -> ok;
send(Receiver, N) -> Receiver ! {take, N}, send(Receiver, N - 1).

gen_cast(Receiver, N) ->
    gen_send(Receiver, N),
    counted(Receiver, N).

gen_send(_, 0) -> ok;
gen_send(Receiver, N) -> gen_server:cast(Receiver, {take, N}), gen_send(Receiver, N - 1).

counted(Receiver, N) ->
    Receiver ! {count, self()},
    receive {counted, N} -> ok end.

call_to_scheduler(_, 0) -> ok;
call_to_scheduler(Receiver, N) ->
    Receiver ! {echo, self(), N},
    receive {answer, N} -> call_to_scheduler(Receiver, N - 1) end.
