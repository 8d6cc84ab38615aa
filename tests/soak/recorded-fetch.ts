import { type Dispatcher, fetch as fetchBy } from 'undici';
import { CALL_HEADER } from './faults.ts';
import type { Ledger, Trouble } from './ledger.ts';

export interface RecordedFetchOptions {
  readonly ledger: Ledger;
  /** The client's connections. */
  readonly dispatcher: Dispatcher;
  /** Told when a request has failed, was refused, or its answer broke off. */
  readonly onTrouble: () => void;
}

/**
 * A `fetch` that gives each request a number the upstream sees, and writes down how it ended: in full, with a refusal,
 * broken off, or without an answer.
 */
export function recordedFetch({ ledger, dispatcher, onTrouble }: RecordedFetchOptions): typeof fetch {
  return async (url, init = {}) => {
    const method = init.method ?? 'GET';
    const body = typeof init.body === 'string' ? init.body : '';
    const call = ledger.begin(method, Buffer.byteLength(body));
    const headers = new Headers(init.headers);
    headers.set(CALL_HEADER, String(call.number));

    const failed = (trouble: Omit<Trouble, 'detail'>, detail: unknown) => {
      call.abandoned ||= init.signal?.aborted ?? false;
      ledger.trouble(call, { ...trouble, detail: wordsOf(detail) });
      ledger.end(call);
      onTrouble();
    };
    let response: Awaited<ReturnType<typeof fetchBy>>;
    try {
      response = await fetchBy(String(url), {
        method,
        headers: [...headers],
        dispatcher,
        redirect: 'manual',
        ...(init.body === undefined ? {} : { body }),
        ...(init.signal ? { signal: init.signal } : {}),
      });
    } catch (error) {
      failed({ status: undefined, code: undefined, broken: false }, error);
      throw error;
    }
    const { status } = response;
    const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') ?? false;
    try {
      if (isStream && response.body) return withBody(response, watched(response.body));
      const text = await response.text();
      const code = codeOf(text);
      if (status >= 400 || code !== undefined) failed({ status, code, broken: false }, text);
      else ledger.end(call);
      return withBody(response, text === '' ? null : text);
    } catch (error) {
      failed({ status, code: undefined, broken: true }, error);
      throw error;
    }

    function watched(stream: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
      const reader = stream.getReader();
      return new ReadableStream({
        async pull(controller) {
          try {
            const { value, done } = await reader.read();
            if (!done) return controller.enqueue(value);
            ledger.end(call);
            controller.close();
          } catch (error) {
            failed({ status, code: undefined, broken: true }, error);
            controller.error(error);
          }
        },
        async cancel(reason) {
          ledger.end(call);
          await reader.cancel(reason);
        },
      });
    }
  };
}

function withBody(
  {
    status,
    statusText,
    headers,
  }: Pick<Response, 'status' | 'statusText'> & {
    headers: Iterable<[string, string]>;
  },
  body: ReadableStream<Uint8Array> | string | null,
): Response {
  return new Response(body, { status, statusText, headers: [...headers] });
}

/** The code of a refusal of the broker, in either of its forms. */
function codeOf(text: string): string | undefined {
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    if (typeof error === 'string') return error;
    const { data } = error as { data?: { error?: unknown } };
    return typeof data?.error === 'string' ? data.error : undefined;
  } catch {
    return undefined;
  }
}

function wordsOf(detail: unknown): string {
  if (!(detail instanceof Error)) return String(detail).slice(0, 200);
  const cause = detail.cause instanceof Error ? ` (${detail.cause.message})` : '';
  return `${detail.name}: ${detail.message}${cause}`;
}
