import { Worker, spawn } from "threads";

export async function start() {
  const api = await spawn(new Worker("./threads-worker.mjs"));
  return { echo: (value) => api.echo(value) };
}
