import type { EventStore } from '@modelcontextprotocol/sdk/server/streamableHttp.js';

type Message = Parameters<EventStore['storeEvent']>[1];

/** The events of one session in the order in which they were sent, for clients that resume with `Last-Event-ID`. */
export class MemoryEventStore implements EventStore {
  readonly #events: { streamId: string; message: Message }[] = [];

  async storeEvent(streamId: string, message: Message): Promise<string> {
    this.#events.push({ streamId, message });
    return String(this.#events.length);
  }

  async getStreamIdForEventId(eventId: string): Promise<string | undefined> {
    return this.#events[Number(eventId) - 1]?.streamId;
  }

  async replayEventsAfter(
    lastEventId: string,
    { send }: { send: (eventId: string, message: Message) => Promise<void> },
  ): Promise<string> {
    const last = Number(lastEventId);
    const streamId = (await this.getStreamIdForEventId(lastEventId)) ?? '';
    for (const [index, event] of this.#events.entries()) {
      // The SDK stores its priming events as empty messages; they only carry an id and are nothing to send again.
      if (index < last || event.streamId !== streamId || !('jsonrpc' in event.message)) continue;
      await send(String(index + 1), event.message);
    }
    return streamId;
  }
}
