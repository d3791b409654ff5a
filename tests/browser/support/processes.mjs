// Processes that the tests start, and that end with them.
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { env } from 'node:process';

const running = new Set();

/** Starts a program whose output goes to a log of this name. */
export function start(name, program, args, variables = {}) {
  const child = spawn(program, args, { env: { ...env, ...variables }, stdio: ['ignore', 'pipe', 'pipe'] });
  const log = createWriteStream(join(env.DOWNPIPE_BROWSER_LOGS, `${name}.log`));
  child.stdout.pipe(log);
  child.stderr.pipe(log);
  running.add(child);
  child.on('exit', () => running.delete(child));
  return child;
}

/** Runs a program to its end. */
export async function run(name, program, args, variables = {}) {
  const [code] = await once(start(name, program, args, variables), 'exit');
  if (code !== 0) throw new Error(`${name} ended with ${code}; see ${join(env.DOWNPIPE_BROWSER_LOGS, `${name}.log`)}`);
}

export async function stopAll() {
  const ended = [...running].map((child) => once(child, 'exit'));
  for (const child of running) child.kill('SIGTERM');
  await Promise.all(ended);
}

process.on('exit', () => { for (const child of running) child.kill('SIGKILL'); });

/** Returns a port on which nothing listens. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Waits until a server answers. */
export async function answers(url) {
  for (const until = Date.now() + 30_000; ;) {
    try {
      const answer = await fetch(url);
      if (answer.ok) return;
    } catch { /* It does not listen yet. */ }
    if (Date.now() > until) throw new Error(`${url} does not answer`);
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}
