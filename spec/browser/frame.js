/** Pages within the page of the tests. */

/** Opens a page in a frame until it posts what it has found. @param {string} url */
export async function framed(url) {
  const frame = document.createElement("iframe");
  const answer = new Promise((resolve, reject) => {
    addEventListener("message", function receive({ source, data }) {
      if (source !== frame.contentWindow) return;
      removeEventListener("message", receive);
      if (data.error) reject(new Error(data.error));
      else resolve(data);
    });
  });
  frame.src = url;
  document.body.append(frame);
  try {
    return await answer;
  } finally {
    frame.remove();
  }
}
