import { type Html, html, safeLink } from './html.ts';
import { CROSS, DOTS, LOCK, OPEN_LOCK, TICK, type Tone, WARNING } from './icons.ts';
import { layout, upstreamName } from './layout.ts';

export type LandingState =
  | 'logged_out'
  | 'logging_in'
  | 'authenticated'
  | 'login_required'
  | 'not_required'
  | 'error';

export interface LandingPageOptions {
  readonly version: string;
  readonly state: LandingState;
  /** The state in one sentence. */
  readonly stateText: string;
  readonly upstream: string;
  /** The local address that MCP clients are given. */
  readonly mcpUrl: string;
  readonly loginUrl: string;
  readonly logoutPath: string;
  readonly statusPath: string;
  readonly issuer?: string;
  readonly scopes?: readonly string[];
  readonly accessTokenExpiresAt?: Date;
  readonly lastError?: { readonly message: string; readonly cure: string };
  /** The upstream asks for more than the login grants. */
  readonly wantsMoreAccess?: boolean;
  /** MCP clients must send the proxy's API key: the snippets then hold a placeholder for it. */
  readonly needsApiKey?: boolean;
}

interface StateLook {
  readonly label: string;
  readonly tone: Tone;
  readonly icon: Html;
  readonly login?: string;
  readonly canLogOut?: boolean;
}

const LOOKS: Readonly<Record<LandingState, StateLook>> = {
  logged_out: { label: 'Logged out', tone: 'calm', icon: LOCK, login: 'Log in' },
  logging_in: { label: 'Logging in', tone: 'busy', icon: DOTS, login: 'Start the login again' },
  authenticated: { label: 'Logged in', tone: 'good', icon: TICK, canLogOut: true },
  login_required: { label: 'Login needed', tone: 'warn', icon: WARNING, login: 'Log in' },
  not_required: { label: 'No login needed', tone: 'calm', icon: OPEN_LOCK },
  error: { label: 'Error', tone: 'bad', icon: CROSS, login: 'Log in again', canLogOut: true },
};

/** The page at `/`: what this server is, how its login stands, and how to point an MCP client at it. */
export function landingPage(options: LandingPageOptions): string {
  const statusLink = safeLink(options.statusPath);
  return layout({
    title: upstreamName(options.upstream),
    tagline: 'Log in once, for every MCP client',
    hasForm: true,
    sections: [stateSection(options), clientSection(options), factsSection(options)],
    footer: [
      html`<span>Version ${options.version}</span>`,
      statusLink === undefined ? undefined : html`<a href="${statusLink}">Status as JSON</a>`,
    ],
  });
}

function stateSection(options: LandingPageOptions): Html {
  const { label, tone, icon } = LOOKS[options.state];
  const { lastError } = options;
  return html`<section>
<p class="badge ${tone}">${icon}${label}</p>
<div class="heading">
<h1>${upstreamName(options.upstream)}</h1>
<p class="lead">${options.stateText}</p>
</div>
${
  lastError === undefined
    ? undefined
    : html`<div class="note bad"><p><strong>${lastError.message}</strong></p><p>${lastError.cure}</p></div>\n`
}${actions(options)}</section>
`;
}

function actions(options: LandingPageOptions): Html | undefined {
  const { state, loginUrl, logoutPath, wantsMoreAccess } = options;
  const { login = wantsMoreAccess ? 'Log in again' : undefined, canLogOut } = LOOKS[state];
  const loginLink = login === undefined ? undefined : safeLink(loginUrl);
  const logoutLink = canLogOut ? safeLink(logoutPath) : undefined;
  if (loginLink === undefined && logoutLink === undefined) return undefined;
  return html`<div class="actions">
${loginLink === undefined ? undefined : html`<a class="${state === 'logging_in' ? 'button plain' : 'button'}" href="${loginLink}">${login}</a>\n`}${
  logoutLink === undefined
    ? undefined
    : html`<form method="post" action="${logoutLink}"><button class="button plain" type="submit">Log out</button></form>\n`
}</div>
`;
}

function clientSection({ state, upstream, mcpUrl, needsApiKey = false }: LandingPageOptions): Html {
  const name = serverName(upstream);
  const header = needsApiKey ? ` --header 'X-Api-Key: YOUR_PROXY_API_KEY'` : '';
  const command = `claude mcp add --transport http ${name} ${shellWord(mcpUrl)}${header}`;
  const settings = {
    mcpServers: {
      [name]: {
        type: 'http',
        url: mcpUrl,
        ...(needsApiKey && { headers: { 'X-Api-Key': 'YOUR_PROXY_API_KEY' } }),
      },
    },
  };
  const purpose =
    state === 'not_required'
      ? 'Point it at this address. There is no login to do.'
      : 'Point it at this address. It needs no login of its own: the proxy adds yours to every call.';
  return html`<section>
<div class="heading">
<h2>Connect an MCP client</h2>
<p class="quiet">${purpose} Click a box to select its text.</p>
</div>
${snippet('MCP URL', mcpUrl, 'url')}
${snippet('Claude Code', wholeWords(command), 'wrap')}
${snippet('Other clients, as JSON', JSON.stringify(settings, undefined, 2), 'block')}
${
  needsApiKey
    ? html`<p class="quiet">This proxy asks its clients for a key: put your <code>PROXY_API_KEY</code> in place of <code>YOUR_PROXY_API_KEY</code>.</p>\n`
    : undefined
}</section>
`;
}

function snippet(label: string, text: string | Html, kind: 'url' | 'wrap' | 'block'): Html {
  // Scrollable boxes can be focused, so that the keyboard reaches what is cut off.
  return html`<div class="field"><h3>${label}</h3><pre class="${kind}" tabindex="0" role="group" aria-label="${label}"><code class="copy">${text}</code></pre></div>`;
}

/** Lets a command break between its words only, never after a hyphen. */
function wholeWords(command: string): Html {
  const [first = '', ...others] = command.split(' ');
  return html`<span>${first}</span>${others.map((word) => html` <span>${word}</span>`)}`;
}

function factsSection({ upstream, issuer, scopes, accessTokenExpiresAt }: LandingPageOptions): Html {
  const facts: readonly (readonly [string, Html | string | undefined])[] = [
    ['Upstream', html`<code>${upstream}</code>`],
    ['Login server', issuer === undefined ? undefined : html`<code>${issuer}</code>`],
    ['Scopes', scopes === undefined || scopes.length === 0 ? undefined : scopes.join(' ')],
    ['Access token', expiry(accessTokenExpiresAt)],
  ];
  return html`<section>
<h2>Details</h2>
<dl>
${facts.map(([term, fact]) => (fact === undefined ? undefined : html`<dt>${term}</dt><dd>${fact}</dd>\n`))}</dl>
</section>
`;
}

function expiry(expiresAt: Date | undefined): Html | undefined {
  if (expiresAt === undefined || Number.isNaN(expiresAt.getTime())) return undefined;
  const local = new Intl.DateTimeFormat('en-GB', {
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    timeZoneName: 'short',
  }).format(expiresAt);
  return html`valid until <time datetime="${expiresAt.toISOString()}">${local}</time>`;
}

/** A short name for the upstream in a client's settings, such as `craft` for `mcp.craft.do`. */
function serverName(upstream: string): string {
  const host = URL.canParse(upstream) ? new URL(upstream).hostname : '';
  if (/^[\d.]*$|:|^localhost$/.test(host)) return 'remote';
  const labels = host.split('.').filter((label) => /^[a-z0-9-]+$/.test(label));
  const named = labels.slice(0, -1).filter((label) => !['mcp', 'api', 'www'].includes(label));
  return named.at(-1) ?? labels[0] ?? 'remote';
}

/** Quotes a word for a POSIX shell where it needs to be. */
function shellWord(word: string): string {
  return /^[\w:/.%~+@-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
