import type { Logger } from '../../app/log.ts';
import { type Answer, plainMessage, REFUSED } from './answer.ts';
import { pageUrl, REQUEST_CHANNELS } from './channels.ts';
import type { RequestChannel, Requests } from './contract.ts';
import type { PageContents, Pages } from './pages.ts';
import { parseRequest } from './requests.ts';

/** Answers one channel's requests; `sender` is the page that asked, known to be one of ours. */
export type Handler<C extends RequestChannel> = (
  request: Requests[C]['request'],
  sender: PageContents,
) => Requests[C]['response'] | Promise<Requests[C]['response']>;

/** One handler for each channel there is. */
export type Handlers = { readonly [C in RequestChannel]: Handler<C> };

/** What is read of Electron's event to know who asks. */
export interface InvokeEvent {
  readonly sender: PageContents;
  /** `null` when the frame has gone, or gone elsewhere, since. */
  readonly senderFrame: { readonly url: string; readonly parent: unknown } | null;
}

/** The part of Electron's `ipcMain` that is used. */
export interface InvokeTarget {
  handle(channel: string, listener: (event: InvokeEvent, ...args: unknown[]) => Promise<Answer>): void;
}

/**
 * Registers the handlers of all channels. A request reaches its handler only from the top frame of the page it belongs
 * to, in contents that were made for that page, and only in its channel's shape; whatever else comes is refused without
 * a reason and logged. What a handler throws reaches the page as {@link plainMessage}.
 */
export function handleAll(
  target: InvokeTarget,
  handlers: Handlers,
  { pages, log }: { readonly pages: Pages; readonly log: Logger },
): void {
  const register = <C extends RequestChannel>(channel: C) => {
    const handler: Handler<C> = handlers[channel];
    target.handle(channel, async (event, ...args) => {
      const stranger = strangeness(event, channel, pages);
      if (stranger !== undefined) {
        log.warn('A request that did not come from a page of this app was refused', {
          channel,
          reason: stranger,
        });
        return REFUSED;
      }
      const parsed = args.length > 1 ? { fault: 'the arguments' } : parseRequest(channel, args[0]);
      if ('fault' in parsed) {
        log.warn('A request of an unknown shape was refused', { channel, at: parsed.fault.slice(0, 100) });
        return REFUSED;
      }
      try {
        return { value: await handler(parsed.request, event.sender) };
      } catch (error) {
        log.error('A request failed', {
          channel,
          reason: error instanceof Error ? error.message : String(error),
        });
        return { error: plainMessage(error) };
      }
    });
  };
  for (const channel of Object.keys(REQUEST_CHANNELS) as RequestChannel[]) register(channel);
}

/** Why the sender is not the page of the channel; `undefined` when it is. */
function strangeness(
  { sender, senderFrame: frame }: InvokeEvent,
  channel: RequestChannel,
  pages: Pages,
): string | undefined {
  const page = REQUEST_CHANNELS[channel];
  if (pages.pageOf(sender) !== page) return 'other contents';
  if (frame === null) return 'no frame';
  if (frame.parent !== null) return 'a frame within the page';
  return frame.url.split('#', 1)[0] === pageUrl(page) ? undefined : 'another address';
}
