import type { HttpClient } from './http-client.ts';
import { LOOK_MS, MAX_LOOK_BYTES } from './limits.ts';
import type { Network } from './network.ts';
import { type BearerChallenge, bearerChallenge, parseChallenges } from './oauth/challenge.ts';
import type { Discovery, DiscoveryMode, PROBE_CALL } from './oauth/discovery.ts';
import { foreignText, LoginFailure, shownUrl } from './oauth/errors.ts';
import { HttpFailure, type HttpRequest, jsonOrUndefined } from './oauth/http.ts';
import { checkSettings, type Settings, SettingsError } from './settings.ts';
import { VERSION } from './version.ts';

/** What a look at an upstream's URL has shown. */
export type UpstreamReport =
  | { readonly kind: 'bad_url'; readonly message: string }
  | { readonly kind: 'unreachable'; readonly message: string }
  /** Something answers there, and it does not look like an MCP server. */
  | { readonly kind: 'not_mcp'; readonly message: string }
  | {
      readonly kind: 'reachable';
      readonly host: string;
      readonly login: 'required' | 'not_required';
      /** Revision of the MCP specification, e.g. `2025-06-18`; `or_later` where only a lower bound is known. */
      readonly revision: { readonly date: string; readonly orLater: boolean } | undefined;
      /** Where the login will be, when that is known. */
      readonly issuer: string | undefined;
      /** What stands in the way of a login, such as metadata that cannot be used. */
      readonly obstacle: string | undefined;
    };

export interface InspectOptions {
  readonly network?: Network | undefined;
  /** The whole look takes so long at most, in milliseconds; default 10 s. */
  readonly withinMs?: number;
  /** Checked settings of the server, as far as they are known already. */
  readonly settings?: Partial<
    Pick<Settings, 'probePath' | 'issuer' | 'requirePkceMetadata' | 'extraCaCerts' | 'httpsProxy' | 'noProxy'>
  >;
}

/** The first calls get this share of the time, so that some is left to find out why they were not answered. */
const GREETING_SHARE = 0.4;
/** The first revision without a handshake, and the last one with it. */
const STATELESS = '2026-07-28';
const HANDSHAKE = '2025-11-25';
/** The revision whose event stream is opened by GET (HTTP+SSE transport). */
const HTTP_SSE = '2024-11-05';

/** What a call was answered with; `message`: the JSON-RPC response in it. */
interface Heard {
  readonly status: number;
  readonly header: (name: string) => readonly string[];
  readonly message: JsonRpcResponse | undefined;
}

interface JsonRpcResponse {
  readonly result?: unknown;
  readonly error?: unknown;
}

/**
 * Looks at the URL of an upstream, as a person types it: is it one, does an MCP server answer there, does it want a login,
 * which revision does it speak. Keeps nothing, logs in nowhere, and follows no redirect of the server.
 */
export async function inspectUpstream(
  url: string,
  { network, settings = {}, withinMs = LOOK_MS }: InspectOptions = {},
): Promise<UpstreamReport> {
  const checked = checkedUrl(url);
  if ('fault' in checked) return { kind: 'bad_url', message: checked.fault };
  const [{ createHttpClient }, { discover, PROBE_CALL }] = await Promise.all([
    import('./http-client.ts'),
    import('./oauth/discovery.ts'),
  ]);
  const http = createHttpClient(
    { upstreamTimeoutSeconds: withinMs / 1000, ...settings, upstreamMcpUrl: checked.url },
    { answerTimeoutMs: withinMs, network },
  );
  const request = endingWithin(withinMs, http.request);
  const probes = new Probes(request);
  const look = (challenge: BearerChallenge | undefined) =>
    discover({
      requirePkceMetadata: true,
      ...settings,
      upstreamMcpUrl: checked.url,
      challenge,
      request: probes.request,
      onStep: () => undefined,
    });
  try {
    const heard = await greet(http, checked.url, PROBE_CALL, withinMs * GREETING_SHARE);
    const farewells = heard.map((answer) => endSession(request, checked.url, answer));
    const isOpen = heard.some(({ message }) => message) && !heard.some(asksForLogin);
    const found = isOpen && settings.probePath === undefined ? {} : await findLogin(heard, look);
    await Promise.all(farewells);
    return reportOf(new URL(checked.url), heard, found, probes);
  } finally {
    await http.close();
  }
}

function checkedUrl(url: string): { url: string } | { fault: string } {
  if (url.trim() === '')
    return { fault: 'Enter the URL of the MCP server, such as https://mcp.example.com/mcp.' };
  try {
    const named = { nameOf: () => 'The URL', defaultStateDir: '' };
    return { url: checkSettings({ upstreamMcpUrl: url }, named).upstreamMcpUrl };
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return { fault: error.faults[0] ?? error.message };
  }
}

/** A request function whose requests end with the look. */
function endingWithin(ms: number, request: HttpRequest): HttpRequest {
  const over = new Promise<void>((resolve) => {
    setTimeout(resolve, ms).unref();
  });
  return (url, options) => {
    const tooLate = over.then(() => {
      throw new HttpFailure('timeout', `${new URL(url).host} did not answer within ${ms / 1000} s.`);
    });
    return Promise.race([request(url, options), tooLate]);
  };
}

/**
 * Says hello in both ways there are, `server/discover` (MCP 2026-07-28) and `initialize` (before), and makes the call that
 * asks for a login where these two are open. What got no answer is left out.
 */
async function greet(
  http: HttpClient,
  url: string,
  probe: typeof PROBE_CALL,
  withinMs: number,
): Promise<Heard[]> {
  const client = { name: 'mcp-auth-proxy', version: VERSION };
  const { headers } = probe;
  const rpc = (method: string, params: object) => JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
  const calls = [
    {
      headers: { ...headers, 'mcp-protocol-version': STATELESS, 'mcp-method': 'server/discover' },
      body: rpc('server/discover', {
        _meta: {
          'io.modelcontextprotocol/protocolVersion': STATELESS,
          'io.modelcontextprotocol/clientInfo': client,
          'io.modelcontextprotocol/clientCapabilities': {},
        },
      }),
    },
    probe,
    {
      headers,
      body: rpc('initialize', { protocolVersion: HANDSHAKE, capabilities: {}, clientInfo: client }),
    },
  ];
  const signal = AbortSignal.timeout(withinMs);
  const answers = calls.map(({ headers, body }) =>
    // Why there was none is found out later, by a request that has words for it.
    call(http, url, { headers, body, signal }).catch(() => undefined),
  );
  return (await Promise.all(answers)).filter((heard) => heard !== undefined);
}

async function call(
  http: HttpClient,
  url: string,
  options: { headers: Record<string, string>; body: string; signal: AbortSignal },
): Promise<Heard> {
  const { origin, pathname, search } = new URL(url);
  const { statusCode, headers, body } = await http.upstream.request({
    origin,
    path: pathname + search,
    method: 'POST',
    ...options,
  });
  const header = (name: string) => [headers[name] ?? []].flat();
  body.on('error', () => undefined);
  const message = await readResponse(body, header('content-type')[0] ?? '');
  return { status: statusCode, header, message };
}

/** The JSON-RPC response in a body of JSON or in an event of a stream; of the latter no more is read than it takes. */
async function readResponse(
  body: AsyncIterable<Uint8Array>,
  contentType: string,
): Promise<JsonRpcResponse | undefined> {
  const isStream = isEventStream(contentType);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > MAX_LOOK_BYTES) return undefined;
    const found = isStream ? eventsIn(chunks).find(isResponse) : undefined;
    if (found) return found;
  }
  const whole = jsonOrUndefined(Buffer.concat(chunks).toString());
  return isResponse(whole) ? whole : undefined;
}

/** The data of the events that are complete (HTML, server-sent events). */
function eventsIn(chunks: readonly Uint8Array[]): unknown[] {
  const events = Buffer.concat(chunks).toString().replace(/\r\n?/g, '\n').split('\n\n').slice(0, -1);
  return events.map((event) => {
    const data = [...event.matchAll(/^data:? ?(.*)$/gm)].map(([, line]) => line);
    return jsonOrUndefined(data.join('\n'));
  });
}

function isResponse(message: unknown): message is JsonRpcResponse {
  if (typeof message !== 'object' || message === null) return false;
  const { jsonrpc } = message as { jsonrpc?: unknown };
  return jsonrpc === '2.0' && ('result' in message || 'error' in message);
}

/** MCP 2025-11-25, Streamable HTTP, session management: a session that is not needed is ended by DELETE. */
async function endSession(request: HttpRequest, url: string, { header, message }: Heard): Promise<void> {
  const [session] = header('mcp-session-id');
  if (session === undefined) return;
  const version = datesIn(message).at(-1) ?? HANDSHAKE;
  const headers = { 'mcp-session-id': session, 'mcp-protocol-version': version };
  // A server may refuse it (405), and then ends its sessions by itself.
  await request(url, { method: 'DELETE', headers, headersOnly: true }).catch(() => undefined);
}

/** The dates of revisions that a server names: the one it agrees to, or all it has. */
function datesIn(message: JsonRpcResponse | undefined): string[] {
  const { result, error } = (message ?? {}) as {
    result?: { protocolVersion?: unknown; supportedVersions?: unknown } | null;
    error?: { data?: { supported?: unknown } | null } | null;
  };
  const named = [result?.protocolVersion, result?.supportedVersions, error?.data?.supported].flat();
  return named
    .filter((date): date is string => typeof date === 'string' && /^\d{4}-\d\d-\d\d$/.test(date))
    .sort();
}

function asksForLogin({ status }: Heard): boolean {
  return status === 401;
}

/** Sees what the probes of a discovery are answered with. */
class Probes {
  refused = false;
  stream = false;
  readonly request: HttpRequest;

  constructor(request: HttpRequest) {
    this.request = async (url, options) => {
      const answer = await request(url, options);
      // Metadata is asked for as JSON alone.
      if (!options?.headers?.accept?.includes('text/event-stream')) return answer;
      this.refused ||= answer.status === 401;
      this.stream ||=
        options.method === 'GET' && answer.status === 200 && isEventStream(answer.header('content-type')[0]);
      return answer;
    };
  }
}

function isEventStream(contentType = ''): boolean {
  return /^text\/event-stream\b/i.test(contentType);
}

interface FoundLogin {
  readonly discovery?: Discovery;
  readonly failure?: LoginFailure;
}

async function findLogin(
  heard: readonly Heard[],
  look: (challenge: BearerChallenge | undefined) => Promise<Discovery>,
): Promise<FoundLogin> {
  const refused = heard.find(asksForLogin);
  try {
    return { discovery: await look(refused && bearerChallenge(refused.header('www-authenticate'))) };
  } catch (error) {
    if (!(error instanceof LoginFailure)) throw error;
    return { failure: error };
  }
}

/** What the way to the login shows of the server's revision. Its authorization server may be of another. */
const REVISION_OF: Record<DiscoveryMode, { date: string; orLater: boolean } | undefined> = {
  metadata: { date: '2025-06-18', orLater: true },
  legacy: { date: '2025-03-26', orLater: false },
  override: undefined,
};

function reportOf(
  { host, pathname }: URL,
  heard: readonly Heard[],
  { discovery, failure }: FoundLogin,
  probes: Probes,
): UpstreamReport {
  const date = heard
    .flatMap(({ message }) => datesIn(message))
    .sort()
    .at(-1);
  const spoken = date === undefined ? undefined : { date, orLater: false };
  if (probes.refused || heard.some(asksForLogin)) {
    const foreign = discovery?.mode === 'metadata' ? undefined : otherScheme(heard);
    return {
      kind: 'reachable',
      host,
      login: 'required',
      revision: spoken ?? (discovery && foreign === undefined ? REVISION_OF[discovery.mode] : undefined),
      issuer: discovery && foreign === undefined ? foreignText(discovery.server.issuer) : undefined,
      obstacle:
        foreign === undefined
          ? failure?.message
          : `${host} asks for a login of another kind than OAuth (${foreign}).`,
    };
  }
  const open = {
    kind: 'reachable',
    host,
    login: 'not_required',
    issuer: undefined,
    obstacle: undefined,
  } as const;
  if (heard.some(({ message }) => message !== undefined)) return { ...open, revision: spoken };
  if (probes.stream) return { ...open, revision: { date: HTTP_SSE, orLater: false } };
  const last = heard.at(-1);
  if (last) return { kind: 'not_mcp', message: strangeAnswer(host, pathname, last) };
  const cause = failure?.cause;
  return {
    kind: 'unreachable',
    message: cause instanceof HttpFailure ? cause.message : `${host} did not answer an MCP call in time.`,
  };
}

/** The scheme a server asks for that knows no bearer tokens, e.g. `Basic`. */
function otherScheme(heard: readonly Heard[]): string | undefined {
  const challenges = heard.flatMap(({ header }) => parseChallenges(header('www-authenticate')));
  const [first] = challenges;
  if (first === undefined || challenges.some(({ scheme }) => scheme === 'bearer')) return undefined;
  return first.scheme.charAt(0).toUpperCase() + first.scheme.slice(1);
}

function strangeAnswer(host: string, pathname: string, { status, header }: Heard): string {
  const [location] = header('location');
  if (status >= 300 && status < 400 && location !== undefined)
    return `${host} redirects to ${shownUrl(location)}; if that is the server you mean, enter that URL.`;
  if (status === 404 || status === 410)
    return `There is nothing at ${pathname} of ${host} (HTTP ${status}); check the path of the URL.`;
  if (status >= 500) return `${host} has trouble of its own (HTTP ${status}); try again in a moment.`;
  return /\bhtml\b/i.test(header('content-type')[0] ?? '')
    ? `${host} answers with a web page there, not as an MCP server; check the path of the URL.`
    : `${host} does not answer as an MCP server there (HTTP ${status}); check the path of the URL.`;
}
