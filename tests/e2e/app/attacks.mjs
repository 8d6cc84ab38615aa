// What hostile scripts try inside the app's own page. Each function is sent there as text, so it stands by itself.

/**
 * Asks on every channel.
 * @param {readonly string[]} channels
 * @returns {Promise<string[]>} what each was answered
 */
export async function askForAll(channels) {
  const { mcpAuthProxy } = globalThis;
  return Promise.all(
    channels.map((channel) =>
      mcpAuthProxy.request(channel).then(
        () => `${channel}: answered`,
        ({ message }) => `${channel}: ${message}`,
      ),
    ),
  );
}

/**
 * Tries to get to a URL, here or in another window, in every way there is.
 * @param {string} url
 */
export function leaveBy(url) {
  function submit(method) {
    const form = Object.assign(document.createElement('form'), { action: url, method });
    document.body.append(form);
    form.submit();
    form.remove();
  }
  function click(target) {
    const link = Object.assign(document.createElement('a'), { href: url, target });
    document.body.append(link);
    link.click();
    link.remove();
  }
  const ways = [
    () => location.assign(url),
    () => location.replace(url),
    () => window.open(url),
    () => window.open(url, '_self'),
    () => click(''),
    () => click('_blank'),
    () => click('_top'),
    () => submit('get'),
    () => submit('post'),
  ];
  for (const way of ways) {
    try {
      way();
    } catch {
      // Thrown or not, it must lead nowhere.
    }
  }
}

/**
 * Begins a download.
 * @param {{ href: string, download: string }} what
 */
export function saveAs({ href, download }) {
  const link = Object.assign(document.createElement('a'), { href, download });
  document.body.append(link);
  link.click();
}

/**
 * Tries to run code, to load from elsewhere, and to be permitted something.
 * @param {string} origin of a server that would tell of requests
 * @returns {Promise<Record<string, string>>} what became of each; what begins with `done` has worked
 */
export async function tryEverything(origin) {
  const { mcpAuthProxy } = globalThis;
  const outcomes = {};

  async function attempt(name, run) {
    try {
      outcomes[name] = `done: ${String(await run())}`;
    } catch (error) {
      outcomes[name] = String(error);
    }
  }
  function loaded(element) {
    return new Promise((resolve, reject) => {
      element.addEventListener('load', resolve);
      element.addEventListener('error', () => reject(new Error('not loaded')));
      document.body.append(element);
    });
  }
  /** For what fails without a word. */
  function unlessPolicy(act) {
    return new Promise((_resolve, reject) => {
      document.addEventListener('securitypolicyviolation', () => reject(new Error('violation')), {
        once: true,
      });
      act();
    });
  }
  const make = (tag, properties) => Object.assign(document.createElement(tag), properties);
  const frame = (src) => unlessPolicy(() => document.body.append(make('iframe', { src })));

  // In a task of the page's own: what a debugger evaluates may do more.
  await new Promise((resolve) => setTimeout(resolve));

  // biome-ignore lint/security/noGlobalEval: it is what must not work
  await attempt('eval', () => globalThis.eval('1 + 1'));
  await attempt('Function', () => new Function('return 1')());
  await attempt('the constructor of the bridge', () => mcpAuthProxy.request.constructor('return process')());
  await attempt('inline script', () => document.body.append(make('script', { textContent: 'stop()' })));
  await attempt('inline handler', () => document.body.setAttribute('onclick', 'stop()'));
  await attempt('markup', () => make('div', { innerHTML: '<b>bold</b>' }));
  await attempt('script', () => make('script', { src: `${origin}/script.js` }));
  await attempt('worker', () => new Worker(`${origin}/worker.js`));
  await attempt('service worker', () => navigator.serviceWorker.register('index.js'));

  await attempt('image', () => loaded(make('img', { src: `${origin}/image.png` })));
  await attempt('style', () => loaded(make('link', { rel: 'stylesheet', href: `${origin}/style.css` })));
  await attempt('frame', () => frame(`${origin}/frame`));
  await attempt('frame of our own', () => frame('app://status/index.html'));
  await attempt('fetch', () => fetch(`${origin}/fetch`, { mode: 'no-cors' }));
  await attempt('fetch of our own', () => fetch('app://status/index.html'));
  await attempt('beacon', () => unlessPolicy(() => navigator.sendBeacon(`${origin}/beacon`)));
  await attempt('socket', () => unlessPolicy(() => new WebSocket(`${origin.replace('http', 'ws')}/socket`)));

  await attempt('place', () => {
    return new Promise((resolve, reject) => navigator.geolocation.getCurrentPosition(resolve, reject));
  });
  await attempt('camera', () => navigator.mediaDevices.getUserMedia({ video: true, audio: true }));
  await attempt('screen', () => navigator.mediaDevices.getDisplayMedia());
  await attempt('clipboard', () => navigator.clipboard.readText());
  await attempt('notifications', async () => {
    const answer = await Notification.requestPermission();
    if (answer !== 'granted') throw new Error(answer);
  });
  // Where there is no device or no focus, the attempt alone shows nothing.
  for (const name of ['geolocation', 'camera', 'microphone', 'clipboard-read', 'notifications', 'midi'])
    await attempt(`permission for ${name}`, async () => {
      const { state } = await navigator.permissions.query({ name });
      if (state === 'denied') throw new Error(state);
    });
  return outcomes;
}

/**
 * Asks for a change of settings in shapes that no protocol between processes could carry as they are.
 * @returns {Promise<string[]>} what each was answered
 */
export async function askInOddShapes() {
  const { mcpAuthProxy } = globalThis;
  const circle = {};
  circle.circle = circle;
  const shapes = [
    [],
    JSON.parse('{"__proto__":{"loginWay":"browser"},"servers":[]}'),
    Object.create({ loginWay: 'browser' }, { servers: { value: [], enumerable: true } }),
    { loginWay: () => 'browser' },
    { loginWay: { toString: () => 'browser' } },
    circle,
    new Map([['loginWay', 'browser']]),
    { loginWaitSeconds: Number.NaN },
    { loginWaitSeconds: 20n },
  ];
  return Promise.all(
    shapes.map((shape) =>
      mcpAuthProxy.request('app:change-settings', shape).then(
        (answer) => JSON.stringify(answer),
        () => 'refused',
      ),
    ),
  );
}
