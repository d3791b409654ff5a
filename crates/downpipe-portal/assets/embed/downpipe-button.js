// <downpipe-button>: asks a portal for an export, shows how far it is, and downloads it. See docs/embed.md.
(() => {
  const WAKING = ['online', 'visibilitychange'];
  const ENDED = ['ready', 'failed', 'cancelled', 'expired'];
  const isAway = ({ status }) => status === 0 || status === 429 || status >= 500;

  const date = (lang, text, zone) => {
    const form = { dateStyle: 'long', timeStyle: 'short' };
    const named = new Intl.DateTimeFormat(lang, { timeZoneName: zone }).formatToParts(new Date(text));
    return [new Date(text).toLocaleString(lang, form), named.find(({ type }) => type === 'timeZoneName').value];
  };
  const WORDS = {
    en: {
      download: 'Download', again: 'Prepare again',
      number: (n) => n.toLocaleString('en'),
      preparing: (who) => 'Preparing.' + (who ? ` You can close this page; we will e-mail ${who}.` : ''),
      queued: (n, minutes) => `In line, about ${n}${{ one: 'st', two: 'nd', few: 'rd' }[new Intl.PluralRules('en', { type: 'ordinal' }).select(n)] ?? 'th'}.` + (minutes ? ` Usually starts within ${minutes} minutes.` : ''),
      share: (rows, of) => `Preparing: ${rows} of about ${of} rows`,
      rows: (rows, seconds) => `Preparing: ${rows} rows so far, ${seconds} s`,
      checking: 'Checking that the file is complete',
      ready: (until) => `Ready. Kept until ${date('en-GB', until, 'short').join(' ').replace(' at', ',')}`,
      failed: (why) => `Could not be prepared. ${why}`,
      cancelled: 'Cancelled. There is no file.',
      expired: 'The file was deleted, as planned.',
      already: 'Already being prepared.',
      offline: 'No connection. The file is being prepared all the same.',
      away: 'That did not work just now. Try again in a moment.',
      loggedOut: 'You are logged out. Nothing is lost.',
      refused: 'This cannot be downloaded from here. Please tell this site.',
    },
    ja: {
      download: 'ダウンロード', again: 'もう一度作成',
      number: (n) => n.toLocaleString('ja', { notation: 'compact' }),
      preparing: (who) => '作成しています。' + (who ? `このページは閉じてもかまいません。できあがったら ${who} にメールします。` : ''),
      queued: (n, minutes) => `順番待ち（${n}番目くらい）。` + (minutes ? `通常${minutes}分以内に始まります。` : ''),
      share: (rows, of) => `作成中：約${of}行のうち${rows}行`,
      rows: (rows, seconds) => `作成中：${rows}行（${seconds}秒経過）`,
      checking: 'ファイルが完全か確認しています',
      ready: (until) => `準備できました。${date('ja', until, 'shortGeneric').join('（').replace(' ', '')}）まで`,
      failed: (why) => `作成できませんでした。${why}`,
      cancelled: '中止しました。ファイルはありません。',
      expired: '予定どおりファイルを削除しました。',
      already: 'すでに作成中です。',
      offline: '接続できませんが、ファイルの作成は続いています。',
      away: 'ただいま受け付けられません。少し待ってから、もう一度お試しください。',
      loggedOut: 'ログアウトしています。作成中のファイルは失われません。',
      refused: 'ここからはダウンロードできません。サイトの管理者にお知らせください。',
    },
  };

  // A strict style-src of the page does not stop a sheet that is made like this.
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
:host{display:inline-block;max-width:100%}
[hidden],:host([hidden]){display:none!important}
div{display:flex;flex-wrap:wrap;align-items:center;gap:var(--downpipe-gap,8px 12px)}
button{min-height:44px;padding:8px 16px;font:inherit;border:1px solid transparent;
border-radius:var(--downpipe-radius,6px);background:var(--downpipe-accent,#0b57d0);color:var(--downpipe-on-accent,#fff)}
button[aria-disabled=true]{background:none;color:inherit;border-color:currentColor}
progress{accent-color:var(--downpipe-accent,#0b57d0)}
a{color:inherit;line-height:44px}
[role=status]{position:absolute;width:1px;clip-path:inset(50%)}`);

  const make = (name, parent, attributes = {}) => {
    const element = parent.appendChild(document.createElement(name));
    for (const key in attributes) element.setAttribute(key, attributes[key]);
    return element;
  };
  const fault = (code, more) => Object.assign(new Error(code), { code, errors: [], ...more });
  const problem = async (answer) => {
    const { type, detail, errors } = await answer.json().catch(() => ({}));
    const code = type?.split('/').pop() ?? 'unavailable';
    return fault(code, { message: detail, errors: errors ?? [], status: answer.status, after: +answer.headers.get('Retry-After') });
  };

  // In memory only, and shared by the buttons of one address.
  const tokens = new Map();
  const fetchToken = async (url) => {
    const asked = Date.now();
    const answer = await fetch(url, { credentials: 'same-origin', cache: 'no-store', headers: { Accept: 'application/json' } });
    if (answer.redirected || answer.status === 401 || answer.status === 403) throw fault('logged-out', { status: answer.status });
    if (!answer.ok) throw fault('no-token', { status: answer.status });
    try {
      const { token } = await answer.json();
      const { iat, exp } = JSON.parse(atob(token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/')));
      // By its length and not by its end, because the clock here may be wrong.
      return { token, until: asked + (exp - iat) * 900 };
    } catch {
      throw fault('no-token');
    }
  };
  const tokenOf = async (url, refused) => {
    const known = await tokens.get(url)?.catch(() => {});
    if (!known || known.token === refused || Date.now() >= known.until) tokens.set(url, fetchToken(url));
    return (await tokens.get(url)).token;
  };

  class DownpipeButton extends HTMLElement {
    static observedAttributes = ['portal', 'export', 'params', 'token-url', 'lang'];
    #shown; #state; #words; #lang; #name; #work; #job; #key; #tag; #timer; #polls; #clicked; #file; #busy; #spoken; #spokeAt; #linkTimer;

    connectedCallback() {
      if (!this.#shown) this.#build();
      for (const event of WAKING) addEventListener(event, this.#wake, true);
      this.#begin();
    }
    disconnectedCallback() {
      for (const event of WAKING) removeEventListener(event, this.#wake, true);
      this.#stop();
    }
    attributeChangedCallback(name, before, after) {
      if (this.#shown && this.isConnected && before !== after) this.#begin();
    }

    #build() {
      const root = this.attachShadow({ mode: 'open' });
      root.adoptedStyleSheets = [sheet];
      const box = make('div', root);
      this.#shown = {
        box,
        button: make('button', box, { type: 'button', part: 'button', 'aria-describedby': 's' }),
        progress: make('progress', box, { part: 'progress', max: 100, 'aria-labelledby': 's' }),
        status: make('span', box, { part: 'status', id: 's' }),
        link: make('a', box, { part: 'link', rel: 'noreferrer' }),
        voice: make('span', box, { role: 'status' }),
      };
      this.#shown.button.addEventListener('click', () => this.#click());
    }

    // Starts with the attributes as they are, and with the job that this page had before it was loaded again.
    #begin() {
      this.#stop();
      this.#work = new AbortController();
      this.#lang = /^ja\b/i.test(this.closest('[lang]')?.lang || navigator.language) ? 'ja' : 'en';
      this.#words = WORDS[this.#lang];
      this.#shown.box.lang = this.#lang;
      this.#name = ['downpipe', this.#portal, this.getAttribute('export'), this.getAttribute('params')].join(' ');
      this.#reset();
      const { key, id } = this.#kept() ?? {};
      this.#key = key;
      if (id) {
        this.#job = { id };
        this.#show('starting', this.#words.preparing());
        this.#poll();
      } else if (key) this.#ask();
    }
    #stop() {
      this.#work?.abort();
      clearTimeout(this.#timer);
      clearTimeout(this.#linkTimer);
      this.#timer = 0;
    }
    #reset() {
      this.#job = this.#tag = this.#key = undefined;
      this.#clicked = this.#polls = this.#file = this.#spokeAt = 0;
      this.#shown.link.hidden = true;
      this.#show('idle', '');
    }

    get #portal() { return (this.getAttribute('portal') ?? '').replace(/\/+$/, ''); }
    #kept() { try { return JSON.parse(sessionStorage.getItem(this.#name)); } catch { return null; } }
    #keep(value = null) { try { sessionStorage.setItem(this.#name, JSON.stringify(value)); } catch { /* Forgotten with the page. */ } }

    #click() {
      const { state, id } = this.#job ?? {};
      if (this.#busy) this.#show(this.#state, this.#words.already, true);
      else if (state === 'ready') this.#try(() => this.#download());
      else if (id && !ENDED.includes(state)) this.#poll();
      else {
        // The same key, so that what has arrived already is not asked for twice.
        const key = id ? undefined : this.#key;
        this.#reset();
        this.#key = key ?? crypto.getRandomValues(new BigUint64Array(2)).join('-');
        this.#clicked = Date.now();
        this.#ask();
      }
    }

    async #try(work) {
      const { signal } = this.#work;
      try {
        await work(signal);
      } catch (error) {
        if (!signal.aborted) this.#fail(error.errors ? error : error instanceof SyntaxError ? fault('not-set-up') : fault('unreachable', { status: 0 }));
      }
    }
    async #call(path, options = {}) {
      const { signal } = this.#work;
      const url = this.getAttribute('token-url');
      if (!this.#portal || !url || !this.getAttribute('export')) throw fault('not-set-up');
      for (let refused; ;) {
        const token = await tokenOf(url, refused);
        signal.throwIfAborted();
        const headers = { Accept: 'application/json', 'Accept-Language': this.#lang, Authorization: `Bearer ${token}`, ...options.headers };
        const answer = await fetch(`${this.#portal}/api/v1/${path}`, { ...options, headers, credentials: 'omit', signal });
        if (answer.status === 401 && refused === undefined) refused = token;
        else if (answer.ok || answer.status === 304) return answer;
        else throw await problem(answer);
      }
    }

    #ask() {
      return this.#try(async () => {
        this.#show('starting', this.#words.preparing());
        const params = JSON.parse(this.getAttribute('params') || '{}');
        this.#keep({ key: this.#key });
        const answer = await this.#call(`exports/${encodeURIComponent(this.getAttribute('export'))}/jobs`, {
          method: 'POST',
          headers: { 'Content-Type': 'application/json', 'Idempotency-Key': this.#key },
          body: JSON.stringify({ params, language: this.#lang }),
        });
        await this.#take(await answer.json());
      });
    }

    #poll() {
      this.#timer = 0;
      return this.#try(async (signal) => {
        if (!this.#busy) this.#show('starting', this.#words.preparing());
        try {
          const answer = await this.#call(`jobs?ids=${this.#job.id}`, { headers: this.#tag ? { 'If-None-Match': this.#tag } : {} });
          if (answer.status === 304) return this.#wait();
          const [job] = (await answer.json()).jobs;
          this.#tag = answer.headers.get('ETag');
          // Another person may have logged in since.
          if (job) await this.#take(job);
          else { this.#keep(); this.#reset(); }
        } catch (error) {
          signal.throwIfAborted();
          if (error.errors && !isAway(error)) throw error;
          // The next answer must be shown even if it is the same.
          this.#tag = undefined;
          this.#show(this.#state, this.#words.offline);
          this.#wait(error.after);
        }
      });
    }
    #wait(after) {
      const seconds = Math.max(after || 0, [2, 5][this.#polls++] ?? 10);
      this.#timer = setTimeout(() => document.hidden || this.#poll(), seconds * 1000);
    }
    #wake = () => {
      if (!this.#timer || document.hidden) return;
      clearTimeout(this.#timer);
      this.#poll();
    };

    async #take(job) {
      this.#job = job;
      this.#keep({ key: this.#key, id: job.id });
      this.#show(job.state, this.#sentence(job));
      this.#emit('state', { state: job.state, job });
      if (!ENDED.includes(job.state)) return this.#wait();
      if (job.state !== 'ready') return;
      // After half a minute a person has gone on to other things.
      if (this.#emit('ready', { job }) && Date.now() - this.#clicked < 30_000) await this.#download();
    }
    #sentence({ state, queue, progress, started_at: began, expires_at: until, requested_by: who, failure }) {
      const words = this.#words;
      if (state === 'ready') return words.ready(until);
      if (state === 'failed') return words.failed(failure ? `${failure.message} ${failure.advice}` : '');
      if (state === 'cancelled' || state === 'expired') return words[state];
      if (state === 'queued' && queue?.ahead) return words.queued(queue.ahead + 1, Math.ceil((queue.starts_in_seconds ?? 0) / 60));
      const { rows, percent, of_rows: of } = progress;
      if (state === 'queued' || !rows) return words.preparing(who);
      if (percent === 99) return words.checking;
      if (percent !== null) return words.share(words.number(rows), words.number(of));
      return words.rows(words.number(rows), Math.max(0, Math.round((Date.now() - Date.parse(began)) / 1000)));
    }

    // Files of a split export come one after the other, each at a click, as browsers want it.
    async #download() {
      const { id, files } = this.#job;
      const answer = await this.#call(`jobs/${id}/files/${files[this.#file].n}`);
      const { url, file_name: name, expires_at: until } = await answer.json();
      const { link } = this.#shown;
      link.href = url;
      link.textContent = name;
      link.hidden = false;
      link.click();
      this.#file = (this.#file + 1) % files.length;
      this.#show('ready', this.#sentence(this.#job));
      if (this.#file) return;
      // Later a click means a new file.
      this.#keep();
      clearTimeout(this.#linkTimer);
      this.#linkTimer = setTimeout(() => this.#reset(), Math.min(Math.max(Date.parse(until) - Date.now(), 6e4), 36e5));
    }

    #fail(error) {
      const { code, message, errors, status } = error;
      if (code === 'file-deleted' || code === 'no-file') { this.#take({ ...this.#job, state: 'expired' }); return; }
      const words = code === 'logged-out' ? 'loggedOut' : isAway(error) ? 'away' : 'refused';
      if (words === 'refused') this.#keep();
      if (status === 422) this.#key = undefined;
      this.#show('error', this.#words[words]);
      this.#emit('state', { state: 'error', job: this.#job });
      this.#emit('error', { code, message, errors, status });
    }
    #emit(name, detail) {
      return this.dispatchEvent(new CustomEvent(`downpipe-${name}`, { detail, bubbles: true, composed: true, cancelable: true }));
    }

    #show(state, text, aloud = false) {
      const { button, progress, status, link, voice } = this.#shown;
      const { download, again } = this.#words;
      const ended = ['idle', 'error', ...ENDED].includes(state);
      const percent = this.#job?.progress?.percent ?? null;
      const files = this.#job?.files?.length ?? 0;
      this.#busy = !ended;
      this.setAttribute('state', this.#state = state);
      button.textContent = state !== 'ready' && ENDED.includes(state) ? again : this.textContent.trim() || download;
      if (files > 1) button.textContent += ` (${this.#file + 1}/${files})`;
      button.setAttribute('aria-disabled', this.#busy);
      progress.hidden = ended;
      if (state === 'running' && percent !== null) progress.value = percent;
      else progress.removeAttribute('value');
      status.textContent = text;
      if (state !== 'ready') link.hidden = true;
      // Aloud at the start, each quarter and the end: a screen reader must not chatter.
      const moment = ended ? state + text : percent === null ? 'start' : Math.floor(percent / 25);
      if (!aloud && (moment === this.#spoken || !(ended || Date.now() - this.#spokeAt > 9999))) return;
      this.#spoken = moment;
      this.#spokeAt = state === 'idle' ? 0 : Date.now();
      voice.textContent = text;
    }
  }
  customElements.define('downpipe-button', DownpipeButton);
})();
