// The button on pages of other origins, under strict policies, with a real portal and a real worker.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { env } from 'node:process';
import { test } from 'node:test';
import { KEY, sign } from './support/host.mjs';
import { answers, start } from './support/processes.mjs';
import { api, claims, open, person, scene } from './support/scene.mjs';

const JANUARY = JSON.stringify({ from: '2026-01-01', to: '2026-02-01' });
const sha256 = (path) => createHash('sha256').update(readFileSync(path)).digest('hex');

/** Sets what the site has, and returns the person who is logged in there. */
function site(host, button, more = {}, token = (claimed) => sign(claimed)) {
  const sub = person();
  Object.assign(host, { button, lang: 'en', asked: 0 });
  host.token = (asked) => token(claims(host.portal, sub, more), asked);
  return sub;
}

const reached = (page, state) => page.locator(`downpipe-button[state=${state}]`).waitFor();

test('click_on_a_strict_page_downloads_the_file_by_itself', async () => {
  const { listed, portal } = await scene();
  const sub = site(listed, { export: 'orders', params: JANUARY });
  const { context, page, complaints, requests, button, heard } = await open(listed.origin);
  assert.equal(await button.innerText(), 'Get the orders');
  const downloading = page.waitForEvent('download');
  await button.dblclick();
  const download = await downloading;
  const [{ job }] = await heard('ready');
  assert.equal(sha256(await download.path()), job.files[0].sha256);
  assert.equal(download.suggestedFilename(), '注文-2026-01-01.csv');
  assert.match(await page.locator('downpipe-button').getByText('Ready.').first().innerText(), /^Ready\. Kept until \d+ \w+ \d{4}, \d\d:\d\d \S+$/);
  assert.equal((await api(sub, 'jobs')).jobs.length, 1, 'two clicks are one job');
  assert.ok((await api(sub, `jobs/${job.id}`)).files[0].downloaded_at);
  assert.deepEqual(complaints, []);
  const store = new URL(download.url()).origin;
  const origins = new Set(requests.map((request) => new URL(request.url()).origin).filter((origin) => origin !== 'null'));
  assert.deepEqual([...origins].filter((origin) => ![portal, listed.origin, store].includes(origin)), []);
  assert.deepEqual(await context.cookies(), []);
  assert.equal(await page.evaluate(() => globalThis.crossOriginIsolated), true);
  await context.close();
});

test('shop_of_the_examples_downloads_its_orders', async () => {
  const { portal, shopPort } = await scene();
  const url = `http://localhost:${shopPort}`;
  start('shop', env.DOWNPIPE_PYTHON, [env.DOWNPIPE_SHOP], {
    DOWNPIPE_PORTAL_URL: portal, SHOP_KEY: KEY, SHOP_KID: 'new', SHOP_PORT: String(shopPort), SHOP_PERSON: person(),
  });
  await answers(url);
  const { context, page, complaints, button } = await open(url);
  const downloading = page.waitForEvent('download');
  await button.press('Enter');
  assert.match(readFileSync(await (await downloading).path(), 'utf8'), /^id,day,customer\n1,2026-01-01,1\n/);
  assert.deepEqual(complaints, []);
  await context.close();
});

test('token_that_the_portal_refuses_is_renewed_once', async () => {
  const { listed } = await scene();
  // The first is signed with a key that the portal has no longer.
  site(listed, { export: 'orders', params: JANUARY }, {}, (claimed, asked) => sign(claimed, asked === 1 ? 'old' : 'new'));
  const good = await open(listed.origin);
  const downloading = good.page.waitForEvent('download');
  await good.button.click();
  await downloading;
  assert.equal(listed.asked, 2);
  assert.deepEqual(await good.heard('error'), []);
  await good.context.close();

  site(listed, { export: 'orders', params: JANUARY }, {}, (claimed) => sign(claimed, 'old'));
  const bad = await open(listed.origin);
  await bad.button.click();
  await reached(bad.page, 'error');
  assert.equal(listed.asked, 2);
  const [error] = await bad.heard('error');
  assert.deepEqual([error.code, error.status], ['invalid-token', 401]);
  await bad.context.close();
});

test('token_is_renewed_before_its_end', async () => {
  const { listed } = await scene();
  const sub = site(listed, { export: 'slow' }, {}, (claimed) => sign({ ...claimed, exp: Math.floor(Date.now() / 1000) + 4 }));
  const { context, page, button, heard, requests } = await open(listed.origin);
  await button.click();
  await reached(page, 'ready');
  assert.ok(listed.asked > 1, `${listed.asked} tokens`);
  const answers = await Promise.all(requests.filter((request) => request.url().includes('/api/')).map((request) => request.response()));
  assert.deepEqual(answers.filter((answer) => answer?.status() === 401), []);
  assert.deepEqual(await heard('error'), []);
  assert.equal((await api(sub, 'jobs')).jobs.length, 1);
  await context.close();
});

test('page_of_an_origin_that_is_not_listed_is_told_so', async () => {
  const { unlisted, foreign } = await scene();
  for (const [host, code] of [[unlisted, 'unreachable'], [foreign, 'foreign-origin']]) {
    const sub = site(host, { export: 'orders', params: JANUARY });
    const { context, page, button, heard } = await open(host.origin);
    await button.click();
    await reached(page, 'error');
    assert.equal((await heard('error'))[0].code, code);
    assert.deepEqual((await api(sub, 'jobs')).jobs, []);
    await context.close();
  }
});

test('locked_parameter_that_the_page_sends_is_refused', async () => {
  const { listed } = await scene();
  site(listed, { export: 'invoices', params: '{"customer":8}' }, { params: { customer: 7 } });
  const { context, page, button, heard } = await open(listed.origin);
  await button.click();
  await reached(page, 'error');
  const [error] = await heard('error');
  assert.deepEqual([error.code, error.errors.map(({ field }) => field)], ['wrong-values', ['params.customer']]);
  assert.equal(await button.getAttribute('aria-disabled'), 'false');
  // The token's own value is enough.
  const downloading = page.waitForEvent('download');
  await page.locator('downpipe-button').evaluate((element) => element.removeAttribute('params'));
  await button.click();
  await downloading;
  await context.close();
});

test('page_that_is_loaded_again_and_loses_its_connection_goes_on_with_the_job', async () => {
  const { listed } = await scene();
  const sub = site(listed, { export: 'slow' });
  const { context, page, button, heard } = await open(listed.origin);
  await button.click();
  await reached(page, 'running');
  const [{ id }] = (await api(sub, 'jobs')).jobs;
  await page.reload();
  await reached(page, 'running');
  await context.setOffline(true);
  await page.locator('downpipe-button').getByText('No connection. The file is being prepared all the same.').first().waitFor();
  await context.setOffline(false);
  await reached(page, 'ready');
  assert.equal((await heard('ready'))[0].job.id, id);
  // It was not clicked on this page, so it waits for the person.
  const downloading = page.waitForEvent('download');
  await button.click();
  await downloading;
  assert.equal((await api(sub, 'jobs')).jobs.length, 1);
  await context.close();
});

test('person_who_is_logged_out_is_told_so_and_goes_on_after_login', async () => {
  const { listed } = await scene();
  let isLoggedIn = false;
  site(listed, { export: 'orders', params: JANUARY }, {}, (claimed) => (isLoggedIn ? sign(claimed) : 401));
  const { context, page, button, heard } = await open(listed.origin);
  await button.click();
  await page.locator('downpipe-button').getByText('You are logged out. Nothing is lost.').first().waitFor();
  assert.equal((await heard('error'))[0].code, 'logged-out');
  isLoggedIn = true;
  const downloading = page.waitForEvent('download');
  await button.click();
  await downloading;
  await context.close();
});

test('button_speaks_japanese_to_a_japanese_page_and_keeps_the_focus', async () => {
  const { listed } = await scene();
  site(listed, { export: 'slow' });
  listed.lang = 'ja';
  const { context, page, button } = await open(listed.origin);
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  const spoken = page.locator('downpipe-button').getByRole('status');
  await page.waitForFunction(() => document.querySelector('downpipe-button').shadowRoot.querySelector('[role=status]').textContent !== '');
  assert.match(await spoken.innerText(), /^作成しています。/);
  assert.equal(await button.getAttribute('aria-disabled'), 'true');
  assert.equal(await page.evaluate(() => document.activeElement.shadowRoot.activeElement.localName), 'button');
  await page.keyboard.press('Enter');
  await page.locator('downpipe-button').getByText('すでに作成中です。').first().waitFor();
  const bar = page.locator('downpipe-button').getByRole('progressbar');
  assert.equal(await bar.isVisible(), true);
  await reached(page, 'ready');
  assert.match(await spoken.innerText(), /^準備できました。\d{4}年\d+月\d+日\d+:\d\d（.+）まで$/);
  assert.equal(await bar.isVisible(), false);
  await context.close();
});

test('link_of_the_page_works_without_javascript', async () => {
  const { listed } = await scene();
  site(listed, { export: 'orders', params: JANUARY });
  const { context, page } = await open(listed.origin, { javaScriptEnabled: false });
  const link = page.getByRole('link', { name: 'Get the orders' });
  assert.equal(await link.isVisible(), true);
  assert.equal(await link.getAttribute('href'), '/without-script');
  await context.close();
});
