// What every test stands on: a portal, a worker, sites, and Chromium. Made once, and ended after the last test.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';
import { after } from 'node:test';
import { Host, KEY, sign } from './host.mjs';
import { answers, freePort, run, start, stopAll } from './processes.mjs';

const { chromium } = createRequire(join(env.DOWNPIPE_NODE_MODULES, 'package.json'))('playwright-core');

let made;

/** Returns the scene. */
export const scene = () => (made ??= make());

async function make() {
  const [listed, foreign, unlisted] = await Promise.all([Host.start(), Host.start(), Host.start()]);
  const port = await freePort();
  const portal = `http://localhost:${port}`;
  const shopPort = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'downpipe-browser-'));
  const keys = [{ kid: 'new', alg: 'HS256', key: KEY }];
  const exports = ['orders', 'slow', 'invoices'];
  const secret = { apps: {
    shop: { origins: [listed.origin, `http://localhost:${shopPort}`], exports, keys },
    warehouse: { origins: [foreign.origin], exports, keys },
  } };
  writeFileSync(join(folder, 'secret.json'), JSON.stringify(secret), { mode: 0o600 });
  const links = { keys: [{ id: 1, key: Buffer.alloc(32, 1).toString('base64') }] };
  writeFileSync(join(folder, 'links.json'), JSON.stringify(links), { mode: 0o600 });
  const variables = {
    DOWNPIPE_PORTAL_URL: portal, DOWNPIPE_PORTAL_SECRET: `file:${join(folder, 'secret.json')}`,
    DOWNPIPE_LINK_SECRET: `file:${join(folder, 'links.json')}`, DOWNPIPE_LOGIN: 'none',
  };
  const program = env.DOWNPIPE_PROGRAM;
  await run('migrate', program, ['migrate']);
  start('portal', program, ['serve', '--listen', `127.0.0.1:${port}`], variables);
  const worker = { start: () => { worker.process = start('worker', program, ['worker']); } };
  worker.start();
  await answers(`${portal}/healthz`);
  for (const host of [listed, foreign, unlisted]) host.portal = portal;
  const browser = await chromium.launch({ executablePath: env.DOWNPIPE_CHROMIUM, args: ['--no-sandbox'] });
  const close = async () => {
    await browser.close();
    for (const host of [listed, foreign, unlisted]) host.close();
    await stopAll();
    rmSync(folder, { recursive: true });
  };
  return { browser, portal, listed, foreign, unlisted, shopPort, worker, close };
}

after(async () => (await made)?.close());

let people = 0;

/** Returns a person whom no other test has. */
export const person = () => `person-${process.pid}-${people += 1}@example.com`;

/** Returns the claims of a token of an app for a person. */
export const claims = (portal, sub, more = {}) => ({ iss: 'shop', aud: portal, sub, ...more });

/** Opens a page, and notes what it may not do and where it sends requests. */
export async function open(url, options = {}) {
  const { browser } = await scene();
  const context = await browser.newContext({ locale: 'en-GB', timezoneId: 'Asia/Tokyo', ...options });
  const page = await context.newPage();
  const complaints = [];
  const requests = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => requests.push(request));
  // What the button says, as the host's own script would hear it. The page's policy is for scripts in the page, and not for these.
  await page.addInitScript(() => {
    globalThis.heard = [];
    for (const name of ['state', 'ready', 'error']) {
      addEventListener(`downpipe-${name}`, (event) => globalThis.heard.push({ name, ...event.detail }));
    }
  });
  await page.goto(url);
  const heard = (name) => page.evaluate((wanted) => globalThis.heard.filter((event) => event.name === wanted), name);
  return { context, page, complaints, requests, heard, button: page.locator('downpipe-button').getByRole('button') };
}

/** Calls the API as a person of the shop. */
export async function api(sub, path) {
  const { portal } = await scene();
  const headers = { Authorization: `Bearer ${sign(claims(portal, sub))}`, Accept: 'application/json' };
  const answer = await fetch(`${portal}/api/v1/${path}`, { headers });
  return answer.json();
}
