import { MAX_ENDPOINT_EVENT_BYTES } from '../limits.ts';

const CR = 0x0d;
const LF = 0x0a;
const BOM = '\u{feff}';

/** The upstream announced an endpoint that must not be reached with its token. The message names no address. */
export class LegacyEndpointError extends Error {
  override readonly name = 'LegacyEndpointError';

  constructor() {
    super(
      'The upstream announced a message endpoint that is not on its own origin, so the stream was ended. ' +
        'Check UPSTREAM_MCP_URL.',
    );
  }
}

/**
 * Resolves the URI of an `endpoint` event: absolute, root-relative, relative or query-only.
 *
 * @param uri what the event's data says
 * @param sseUrl the upstream URL the stream was read from, without credentials
 * @returns the address without a fragment; `undefined` when it is not http(s), carries credentials, is on another
 *   origin than the stream, or is no URL at all. Whether it lies below the upstream's base path is the caller's to judge.
 * @see MCP 2024-11-05, Transports, HTTP with SSE
 */
export function resolveEndpoint(uri: string, sseUrl: URL): URL | undefined {
  if (!URL.canParse(uri, sseUrl.href)) return undefined;
  const endpoint = new URL(uri, sseUrl.href);
  if (endpoint.protocol !== 'https:' && endpoint.protocol !== 'http:') return undefined;
  if (endpoint.username !== '' || endpoint.password !== '') return undefined;
  if (endpoint.origin !== sseUrl.origin) return undefined;
  endpoint.hash = '';
  return endpoint;
}

/** One line of the event stream, in bytes; `end` is its CR, LF or CRLF. */
interface Line {
  readonly field: string;
  readonly value: string;
  readonly text: Buffer;
  /** Length in bytes of everything before the value. */
  readonly valueAt: number;
  end: Buffer;
}

/**
 * Rewrites the URI of the `endpoint` event that opens an HTTP+SSE stream, and nothing else.
 *
 * Give it the stream's bytes until {@link done}, then pass the rest by: bytes after the first event are not its
 * business. Only lines from the first `data` field on are held, until their event is complete or known to be another.
 *
 * @see WHATWG HTML 9.2.6, Interpreting an event stream
 * @see MCP 2024-11-05, Transports, HTTP with SSE
 */
export class EndpointRewriter {
  readonly #rewrite: (uri: string) => string | undefined;
  /** Pieces of the line that is not complete yet. */
  #pieces: Buffer[] = [];
  #held: Line[] = [];
  #heldBytes = 0;
  #isEndpoint = false;
  #isFirstLine = true;
  #afterCr = false;
  #done = false;

  /** @param rewrite the URI's replacement, without line ends, or `undefined` when the endpoint must not be used */
  constructor(rewrite: (uri: string) => string | undefined) {
    this.#rewrite = rewrite;
  }

  /** True once the first event is behind or known not to be an `endpoint`: nothing is held any more. */
  get done(): boolean {
    return this.#done;
  }

  /**
   * Takes the next bytes of the stream and returns what may go on to the client, in order.
   *
   * @throws {LegacyEndpointError} when `rewrite` refused the URI; the stream must be ended then
   */
  push(chunk: Buffer): Buffer[] {
    const out: Buffer[] = [];
    let at = 0;
    while (at < chunk.length && !this.#done) {
      if (this.#afterCr) {
        this.#afterCr = false;
        if (chunk[at] === LF) {
          this.#finishCrLf(chunk.subarray(at, at + 1), out);
          at += 1;
          continue;
        }
      }
      const lineEnd = indexOfLineEnd(chunk, at);
      const piece = chunk.subarray(at, lineEnd);
      const end = chunk.subarray(lineEnd, lineEnd + 1);
      at = lineEnd + end.length;
      this.#pieces.push(piece);
      this.#heldBytes += piece.length + end.length;
      if (this.#heldBytes > MAX_ENDPOINT_EVENT_BYTES) {
        this.#pieces.push(end);
        this.#release(out);
      } else if (end.length > 0) {
        this.#afterCr = end[0] === CR;
        this.#takeLine(end, out);
      }
    }
    if (at < chunk.length) out.push(chunk.subarray(at));
    return joined(out);
  }

  /** The stream has ended: returns what was still held, unchanged. */
  flush(): Buffer[] {
    const out: Buffer[] = [];
    this.#release(out);
    return joined(out);
  }

  #takeLine(end: Buffer, out: Buffer[]): void {
    const line = parseLine(Buffer.concat(this.#pieces), end, this.#isFirstLine);
    this.#pieces = [];
    this.#isFirstLine = false;
    if (line.text.length === 0) this.#takeBlankLine(line, out);
    else if (line.field === 'data' || this.#held.length > 0) this.#held.push(line);
    else this.#pass(line, out);

    if (line.field === 'event') {
      this.#isEndpoint = line.value === 'endpoint';
      if (!this.#isEndpoint) this.#release(out);
    }
  }

  #takeBlankLine(blank: Line, out: Buffer[]): void {
    // A block without data is not an event, whatever else it holds.
    if (this.#held.length > 0) {
      if (this.#isEndpoint) this.#replaceUri();
      this.#release(out);
    }
    this.#pass(blank, out);
    this.#isEndpoint = false;
  }

  #pass(line: Line, out: Buffer[]): void {
    out.push(line.text, line.end);
    this.#heldBytes = 0;
  }

  #replaceUri(): void {
    const data = this.#held.filter((line) => line.field === 'data');
    const uri = this.#rewrite(data.map((line) => line.value).join('\n'));
    if (uri === undefined) {
      this.#held = [];
      this.#done = true;
      throw new LegacyEndpointError();
    }
    const [first] = data;
    const last = this.#held.at(-1);
    this.#held = this.#held
      .filter((line) => line.field !== 'data' || line === first)
      .map((line) => (line === first ? withValue(line, uri) : line));
    // A blank line follows: behind a CR that it did not follow before, its LF would be no line of its own any more.
    const kept = this.#held.at(-1);
    if (kept && last) kept.end = last.end;
  }

  /** A line end split between its two bytes: the LF belongs to the line before. */
  #finishCrLf(lf: Buffer, out: Buffer[]): void {
    const last = this.#held.at(-1);
    if (last === undefined) {
      out.push(lf);
    } else {
      last.end = Buffer.concat([last.end, lf]);
      this.#heldBytes += lf.length;
    }
  }

  #release(out: Buffer[]): void {
    for (const line of this.#held) out.push(line.text, line.end);
    out.push(...this.#pieces);
    this.#held = [];
    this.#pieces = [];
    this.#done = true;
  }
}

function parseLine(text: Buffer, end: Buffer, isFirst: boolean): Line {
  const decoded = text.toString('utf8');
  const line = isFirst && decoded.startsWith(BOM) ? decoded.slice(BOM.length) : decoded;
  const colon = line.indexOf(':');
  const field = colon === -1 ? line : line.slice(0, colon);
  const rest = colon === -1 ? '' : line.slice(colon + 1);
  const value = rest.startsWith(' ') ? rest.slice(1) : rest;
  const valueAt = decoded.length - value.length;
  return { field, value, text, valueAt: Buffer.byteLength(decoded.slice(0, valueAt)), end };
}

function withValue(line: Line, value: string): Line {
  const head = line.text.subarray(0, line.valueAt);
  const colon = head.includes(':') ? '' : ':';
  const text = Buffer.concat([head, Buffer.from(colon + value)]);
  return { ...line, text, value };
}

function indexOfLineEnd(bytes: Buffer, from: number): number {
  for (let at = from; at < bytes.length; at++) {
    if (bytes[at] === CR || bytes[at] === LF) return at;
  }
  return bytes.length;
}

function joined(parts: Buffer[]): Buffer[] {
  const whole = Buffer.concat(parts);
  return whole.length === 0 ? [] : [whole];
}
