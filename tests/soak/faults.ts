import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { RespondHook } from '../../app/cli/demo/upstream.ts';
import type { Random } from '../support/random.ts';
import type { Fault, HttpCall, Ledger, Outages } from './ledger.ts';
import { Tally } from './tally.ts';

/** Names a request at the upstream, through the broker. */
export const CALL_HEADER = 'x-soak-call';

/** Of a thousand requests to the upstream, so many meet this. */
const UPSTREAM_WEIGHTS = {
  none: 925,
  slow: 30,
  reset: 14,
  'error 500': 14,
  cut: 14,
  garbage: 2,
  silent: 1,
} as const;

/** Of a hundred token requests, so many meet this. */
const TOKEN_WEIGHTS = {
  none: 84,
  slow: 6,
  'error 500': 3,
  '503 with Retry-After': 3,
  reset: 2,
  'a web page': 1,
  silent: 1,
} as const;

const LONGEST_SLOW_MS = 1_500;
const LONGEST_UNTIL_CUT_MS = 40;

export interface FaultsOptions {
  readonly random: Random;
  readonly ledger: Ledger;
  readonly authorization: Outages;
}

/** Stands in front of the MCP server and the authorization server, and breaks some of what they are asked. */
export class Faults {
  readonly #random: Random;
  readonly #ledger: Ledger;
  readonly #authorization: Outages;
  readonly #injected = new Tally();
  /** Answers of the MCP server that have begun and have not ended. */
  readonly #streaming = new Map<ServerResponse, HttpCall>();
  /** How often the authorization server has given out tokens, and how often it would not. */
  readonly tokens = { granted: 0, refused: 0 };
  /** Whether the broker has got through with the token that was given out last; then the next one may end, too. */
  isNewestTokenUsed = false;
  #usedToken: string | undefined;
  /** Until the load begins, everything works. */
  isOn = false;

  constructor({ random, ledger, authorization }: FaultsOptions) {
    this.#random = random;
    this.#ledger = ledger;
    this.#authorization = authorization;
  }

  get injected(): ReadonlyMap<string, number> {
    return this.#injected.counts;
  }

  /** How many answers have begun and have not ended. */
  get openStreams(): number {
    return this.#streaming.size;
  }

  /** For the MCP server. A request meets one fault at most, however often the broker sends it. */
  readonly atUpstream: RespondHook = async (request, response) => {
    const call = this.#ledger.find(Number(request.headers[CALL_HEADER]));
    if (!call) return false;
    this.#watch(request, response, call);
    const fault = this.isOn && call.fault === undefined ? this.#random.pick(UPSTREAM_WEIGHTS) : 'none';
    switch (fault) {
      case 'none':
        return false;
      case 'slow':
        this.#injected.add('upstream: slow');
        await delay(this.#random.whole(1, LONGEST_SLOW_MS));
        return false;
      case 'cut':
        this.#cutLater(response, call);
        return false;
      case 'reset':
        this.#inject(call, fault);
        response.destroy();
        return true;
      case 'garbage':
        this.#inject(call, fault);
        request.socket.end('220 mail.example ESMTP\r\n');
        return true;
      case 'error 500':
        this.#inject(call, fault);
        response.writeHead(500, { 'content-type': 'text/plain' }).end('injected');
        return true;
      case 'silent':
        this.#inject(call, fault);
        return true;
    }
  };

  /** For the authorization server: a refresh token that a broken request holds is not used up by it. */
  readonly atAuthorizationServer: RespondHook = async (request, response) => {
    if (request.url !== '/token') return false;
    const fault = this.isOn ? this.#random.pick(TOKEN_WEIGHTS) : 'none';
    if (fault !== 'none') this.#injected.add(`token endpoint: ${fault}`);
    if (fault === 'slow') await delay(this.#random.whole(1, LONGEST_SLOW_MS));
    if (fault === 'none' || fault === 'slow') {
      this.isNewestTokenUsed = false;
      response.once('finish', () => {
        this.#authorization.end();
        if (response.statusCode === 200) this.tokens.granted++;
        else this.tokens.refused++;
      });
      return false;
    }
    this.#authorization.begin();
    if (fault === 'reset') response.destroy();
    else if (fault === 'error 500') response.writeHead(500).end();
    else if (fault === '503 with Retry-After') response.writeHead(503, { 'retry-after': '1' }).end();
    else if (fault === 'a web page')
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><p>Back soon.');
    return true;
  };

  /** Cuts all answers that are under way, as a restart of the upstream's front does. */
  cutStreams(): void {
    for (const [response, call] of this.#streaming) this.#cut(response, call);
  }

  #watch({ headers }: IncomingMessage, response: ServerResponse, call: HttpCall): void {
    response.writeHead = new Proxy(response.writeHead, {
      apply: (writeHead, self, parameters) => {
        if (!response.destroyed) this.#streaming.set(response, call);
        const result = Reflect.apply(writeHead, self, parameters);
        if (response.statusCode < 300 && headers.authorization !== this.#usedToken) {
          this.#usedToken = headers.authorization;
          this.isNewestTokenUsed = true;
        }
        return result;
      },
    });
    response.once('close', () => this.#streaming.delete(response));
  }

  #cutLater(response: ServerResponse, call: HttpCall): void {
    const timer = setTimeout(
      () => this.#streaming.has(response) && this.#cut(response, call),
      this.#random.whole(0, LONGEST_UNTIL_CUT_MS),
    );
    response.once('close', () => clearTimeout(timer));
  }

  #cut(response: ServerResponse, call: HttpCall): void {
    this.#inject(call, 'cut');
    response.destroy();
  }

  #inject(call: HttpCall, fault: Fault): void {
    call.fault = fault;
    this.#injected.add(`upstream: ${fault}`);
  }
}
