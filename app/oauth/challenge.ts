import { MAX_CHALLENGE_LENGTH } from '../limits.ts';

/** One challenge of a `WWW-Authenticate` header (RFC 9110 §11.3). */
export interface Challenge {
  /** The authentication scheme in lower case. */
  readonly scheme: string;
  /** The single value some schemes carry in place of parameters, such as Negotiate. */
  readonly token68?: string;
  /** Names in lower case; the first value of a repeated name. Empty values are kept. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** What a bearer challenge says; empty values are left out, as they say nothing. */
export interface BearerChallenge {
  /** URL of the protected resource metadata (RFC 9728 §5.1), unchecked. */
  readonly resourceMetadata?: string;
  /** Space-separated scope that this operation needs (RFC 6750 §3). */
  readonly scope?: string;
  /** `invalid_request`, `invalid_token`, `insufficient_scope` or something of the server's own (RFC 6750 §3.1). */
  readonly error?: string;
  readonly errorDescription?: string;
  readonly realm?: string;
}

/**
 * Parses the values of all `WWW-Authenticate` headers of one response, in order.
 *
 * Forgiving: what does not fit the grammar is skipped, so that a server's slip in one place does not hide what it says
 * elsewhere. Never throws; linear in the length of the input. A parameter that the length limit cuts through is dropped.
 *
 * @param headerValues one entry per header field line; a line may hold several challenges
 * @see RFC 9110 §11.6.1
 */
export function parseChallenges(headerValues: readonly string[]): Challenge[] {
  const challenges: Challenge[] = [];
  let left = MAX_CHALLENGE_LENGTH;
  for (const value of headerValues) {
    if (left <= 0) break;
    challenges.push(...new ChallengeScanner(value.slice(0, left), value.length > left).scan());
    left -= value.length;
  }
  return challenges;
}

/**
 * The challenge that tells how to get a bearer token: the first Bearer one, else the first DPoP one (RFC 9449 §7.1),
 * but one with `resource_metadata` before any without.
 *
 * @param headerValues one entry per `WWW-Authenticate` field line
 * @returns `undefined` when neither scheme is there
 * @see RFC 6750 §3, RFC 9728 §5.1
 */
export function bearerChallenge(headerValues: readonly string[]): BearerChallenge | undefined {
  const challenges = parseChallenges(headerValues);
  const candidates = ['bearer', 'dpop'].flatMap((scheme) =>
    challenges.filter((challenge) => challenge.scheme === scheme).map(toBearerChallenge),
  );
  return candidates.find((candidate) => candidate.resourceMetadata !== undefined) ?? candidates[0];
}

function toBearerChallenge({ parameters }: Challenge): BearerChallenge {
  const resourceMetadata = parameters.get('resource_metadata');
  const scope = parameters.get('scope');
  const error = parameters.get('error');
  const errorDescription = parameters.get('error_description');
  const realm = parameters.get('realm');
  return {
    ...(resourceMetadata && { resourceMetadata }),
    ...(scope && { scope }),
    ...(error && { error }),
    ...(errorDescription && { errorDescription }),
    ...(realm && { realm }),
  };
}

const TOKEN_CHARACTERS = asciiSet((character) => /[\w!#$%&'*+.^`|~-]/.test(character));
const TOKEN68_CHARACTERS = asciiSet((character) => /[A-Za-z0-9._~+/-]/.test(character));
/** Schemes that are taken for one even when what follows them is malformed. */
const KNOWN_SCHEMES: ReadonlySet<string> = new Set(['bearer', 'dpop', 'basic', 'digest', 'negotiate']);
/** Schemes that never carry a token68: `Bearer realm=` is an empty parameter there, not a padded value. */
const PARAMETER_SCHEMES: ReadonlySet<string> = new Set(['bearer', 'dpop']);

interface OpenChallenge {
  readonly scheme: string;
  token68?: string;
  readonly parameters: Map<string, string>;
}

/**
 * Reads one field line from left to right. Looking ahead never goes beyond the next word, and a quoted string without
 * an end takes the rest of the line, so that no character is read more than a few times.
 */
class ChallengeScanner {
  readonly #text: string;
  readonly #isCut: boolean;
  readonly #challenges: OpenChallenge[] = [];
  #at = 0;
  /** True at the start and after a comma, where the grammar lets a new challenge begin. */
  #isSeparated = true;

  constructor(text: string, isCut: boolean) {
    this.#text = text;
    this.#isCut = isCut;
  }

  scan(): Challenge[] {
    while (this.#skipSeparators()) {
      const start = this.#at;
      const wordEnd = this.#tokenEnd(start);
      const word = this.#text.slice(start, wordEnd);
      this.#at = wordEnd;
      if (word === '') this.#skipJunk();
      else if (this.#text[this.#spaceEnd(wordEnd)] === '=') this.#takeParameter(word.toLowerCase());
      else if (this.#beginsChallenge(word.toLowerCase())) this.#takeScheme(word.toLowerCase());
      else this.#skipJunk();
    }
    return this.#challenges;
  }

  /** Skips white space and commas; false at the end of the text. */
  #skipSeparators(): boolean {
    while (this.#at < this.#text.length) {
      const character = this.#text[this.#at];
      if (character === ',') this.#isSeparated = true;
      else if (!isSpace(character)) return true;
      this.#at += 1;
    }
    return false;
  }

  /**
   * Whether the word just read is a scheme. Servers forget commas and quotes, so that a bare word may as well be a
   * stray one, as in `error_description=Token has expired`: it must be followed as a scheme is.
   */
  #beginsChallenge(scheme: string): boolean {
    if (!this.#isDelimiter(this.#at)) return false;
    const next = this.#spaceEnd(this.#at);
    const isFollowedByParameter = next > this.#at && this.#isParameter(next);
    if (!this.#isSeparated) return isFollowedByParameter;
    if (isFollowedByParameter || KNOWN_SCHEMES.has(scheme)) return true;
    return this.#isListItemEnd(next) || this.#token68End(next) !== undefined;
  }

  #takeScheme(scheme: string): void {
    if (this.#isCut && this.#at === this.#text.length) return;
    const challenge: OpenChallenge = { scheme, parameters: new Map() };
    this.#challenges.push(challenge);
    this.#isSeparated = false;
    if (PARAMETER_SCHEMES.has(scheme)) return;
    const start = this.#spaceEnd(this.#at);
    const end = this.#token68End(start);
    if (end === undefined) return;
    this.#at = end;
    if (!this.#isCut || end < this.#text.length) challenge.token68 = this.#text.slice(start, end);
  }

  #takeParameter(name: string): void {
    const equals = this.#spaceEnd(this.#at);
    const start = this.#spaceEnd(equals + 1);
    this.#isSeparated = false;
    // `scope= error=x`: the value is empty and the next parameter follows without a comma.
    const isEmpty = start > equals + 1 && this.#isParameter(start);
    this.#at = isEmpty ? equals + 1 : start;
    const value = isEmpty ? '' : this.#text[start] === '"' ? this.#takeQuoted() : this.#takeUnquoted();
    if (this.#isCut && this.#at === this.#text.length) return;
    const parameters = this.#challenges.at(-1)?.parameters;
    if (parameters !== undefined && !parameters.has(name)) parameters.set(name, value);
  }

  /** A quoted-string without its quotes and with its quoted-pairs resolved (RFC 9110 §5.6.4). */
  #takeQuoted(): string {
    let value = '';
    for (this.#at += 1; this.#at < this.#text.length; this.#at += 1) {
      if (this.#text[this.#at] === '"') {
        this.#at += 1;
        return value;
      }
      if (this.#text[this.#at] === '\\') this.#at += 1;
      value += this.#text.charAt(this.#at);
    }
    this.#at = this.#text.length;
    return value;
  }

  /** Reads to the next white space or comma: more than a token, as servers leave the quotes off URLs. */
  #takeUnquoted(): string {
    const start = this.#at;
    while (!this.#isDelimiter(this.#at)) this.#at += 1;
    return this.#text.slice(start, this.#at);
  }

  #skipJunk(): void {
    this.#isSeparated = false;
    while (!this.#isDelimiter(this.#at)) {
      if (this.#text[this.#at] === '"') this.#takeQuoted();
      else this.#at += 1;
    }
  }

  #isParameter(at: number): boolean {
    const end = this.#tokenEnd(at);
    return end > at && this.#text[this.#spaceEnd(end)] === '=';
  }

  /** Where the token68 that starts here ends; `undefined` when there is none that fills the list item. */
  #token68End(start: number): number | undefined {
    let end = start;
    while (TOKEN68_CHARACTERS.has(this.#text[end])) end += 1;
    if (end === start) return undefined;
    while (this.#text[end] === '=') end += 1;
    return this.#isListItemEnd(this.#spaceEnd(end)) ? end : undefined;
  }

  #tokenEnd(start: number): number {
    let end = start;
    while (TOKEN_CHARACTERS.has(this.#text[end])) end += 1;
    return end;
  }

  #spaceEnd(start: number): number {
    let end = start;
    while (isSpace(this.#text[end])) end += 1;
    return end;
  }

  #isListItemEnd(at: number): boolean {
    return at >= this.#text.length || this.#text[at] === ',';
  }

  #isDelimiter(at: number): boolean {
    return this.#isListItemEnd(at) || isSpace(this.#text[at]);
  }
}

function isSpace(character: string | undefined): boolean {
  return character === ' ' || character === '\t';
}

function asciiSet(belongs: (character: string) => boolean): ReadonlySet<string | undefined> {
  const all = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code));
  return new Set(all.filter(belongs));
}
