import { describe, expect, it } from 'vitest';
import { type LandingState, landingPage } from '../../../app/pages/landing.ts';
import { landing, ordinary, STATES } from './fixtures.ts';

describe('landingPage', () => {
  it('tells every state apart by its words and by the shape of its icon', () => {
    const badges = STATES.map((state) =>
      /<p class="badge [a-z]+">(<svg.*?<\/svg>)([^<]+)/.exec(landingPage({ ...landing, state })),
    );
    expect(badges.map((badge) => badge?.[2])).toEqual([
      'Logged out',
      'Logging in',
      'Logged in',
      'Login needed',
      'No login needed',
      'Error',
    ]);
    expect(new Set(badges.map((badge) => badge?.[1])).size).toBe(STATES.length);
  });

  it.each<[LandingState, string | undefined, boolean]>([
    ['logged_out', 'Log in', false],
    ['logging_in', 'Start the login again', false],
    ['authenticated', undefined, true],
    ['login_required', 'Log in', false],
    ['not_required', undefined, false],
    ['error', 'Log in again', true],
  ])('%s offers login: %s, logout: %s', (state, login, logout) => {
    const page = landingPage({ ...landing, state });
    expect(/href="[^"]*\/oauth\/login">([^<]+)<\/a>/.exec(page)?.[1]).toBe(login);
    expect(page.includes('<form method="post" action="/oauth/logout">')).toBe(logout);
    expect(page).toContain('<a href="/oauth/status">Status as JSON</a>');
  });

  it('shows the address, the command and the JSON for MCP clients', () => {
    const snippets = [...landingPage(landing).matchAll(/<code class="copy">([\s\S]*?)<\/code>/g)].map(
      (match) =>
        (match[1] ?? '')
          .replaceAll(/<\/?span>/g, '')
          .replaceAll('&quot;', '"')
          .replaceAll('&#39;', "'"),
    );
    expect(snippets[0]).toBe('http://127.0.0.1:5177/mcp');
    expect(snippets[1]).toBe('claude mcp add --transport http example http://127.0.0.1:5177/mcp');
    expect(JSON.parse(snippets[2] ?? '')).toEqual({
      mcpServers: { example: { type: 'http', url: 'http://127.0.0.1:5177/mcp' } },
    });
  });

  it.each([
    ['https://mcp.craft.do/my/mcp', 'craft'],
    ['https://api.githubcopilot.com/mcp/', 'githubcopilot'],
    ['https://mcp.linear.app/sse', 'linear'],
    ['http://localhost:3000/mcp', 'remote'],
    ['http://127.0.0.1:3000/mcp', 'remote'],
    ['http://[::1]:3000/mcp', 'remote'],
    ['https://intranet/mcp', 'intranet'],
    ['https://mcp.example.com./mcp', 'example'],
    ['no URL; rm -rf /', 'remote'],
  ])('names %s %s in client settings', (upstream, name) => {
    expect(landingPage({ ...landing, upstream }).replaceAll(/<\/?span>/g, '')).toContain(
      `--transport http ${name} http://127.0.0.1:5177/mcp`,
    );
  });

  it('quotes an address for the shell where it needs to be', () => {
    const shown = (mcpUrl: string) => landingPage({ ...landing, mcpUrl }).replaceAll(/<\/?span>/g, '');
    expect(shown('http://[::1]:5177/mcp')).toContain('example &#39;http://[::1]:5177/mcp&#39;<');
    expect(shown(`http://h/';id;'`)).toContain(
      'example &#39;http://h/&#39;\\&#39;&#39;;id;&#39;\\&#39;&#39;&#39;<',
    );
  });

  it('offers another login where the present one does not reach far enough', () => {
    const loggedIn = { ...landing, state: 'authenticated' as const };
    expect(landingPage(loggedIn)).not.toContain('Log in again');
    expect(landingPage({ ...loggedIn, wantsMoreAccess: true })).toContain('Log in again');
  });

  it('puts a placeholder for the API key into the snippets, only when one is asked for', () => {
    expect(landingPage(landing)).not.toContain('X-Api-Key');
    const page = landingPage({ ...landing, needsApiKey: true });
    expect(page.replaceAll(/<\/?span>/g, '')).toContain(
      '/mcp --header &#39;X-Api-Key: YOUR_PROXY_API_KEY&#39;',
    );
    expect(page).toContain('&quot;X-Api-Key&quot;: &quot;YOUR_PROXY_API_KEY&quot;');
  });

  it('shows the facts it is given and leaves out the others', () => {
    const bare = landingPage(landing);
    for (const term of ['Login server', 'Scopes', 'Access token'])
      expect(bare).not.toContain(`<dt>${term}</dt>`);
    const page = landingPage({
      ...landing,
      issuer: 'https://auth.example.com',
      scopes: ['mcp:tools', 'offline_access'],
      accessTokenExpiresAt: new Date('2030-01-02T03:04:05Z'),
      lastError: { message: 'The login server did not answer.', cure: 'Check the network.' },
    });
    expect(page).toContain('<dt>Login server</dt><dd><code>https://auth.example.com</code></dd>');
    expect(page).toContain('<dt>Scopes</dt><dd>mcp:tools offline_access</dd>');
    expect(page).toMatch(
      /<dt>Access token<\/dt><dd>valid until <time datetime="2030-01-02T03:04:05.000Z">\d.* 2030.*<\/time>/,
    );
    expect(page).toContain('<strong>The login server did not answer.</strong>');
    expect(page).toContain('Check the network.');
    expect(landingPage({ ...landing, scopes: [] })).not.toContain('<dt>Scopes</dt>');
  });

  it('lets the browser send the real Origin with its form, unlike the pages without one', () => {
    const meta = '<meta name="referrer" content="same-origin">';
    for (const [name, page] of ordinary) expect(page.includes(meta)).toBe(name.startsWith('landing'));
  });

  it('does not promise a login where none is needed', () => {
    expect(landingPage({ ...landing, state: 'not_required' })).toContain('There is no login to do.');
  });
});
