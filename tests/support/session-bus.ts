import { type EventEmitter, once } from 'node:events';
import { Message, type MessageBus, MessageType, sessionBus, type Variant } from '@jellybrick/dbus-next';

/** What a method answers with: a D-Bus signature and its values. */
export type Reply = [signature: string, ...values: unknown[]];

/** An object with one interface. */
export interface Exported {
  readonly path: string;
  readonly interface: string;
  readonly methods: Readonly<Record<string, (call: Message) => Reply>>;
  readonly properties?: () => Readonly<Record<string, Variant>>;
}

export interface Target {
  readonly destination: string;
  readonly path: string;
}

/** A connection to a session bus, for programs that play a part of a desktop. */
export interface SessionBus {
  /** @returns the values of the answer */
  call(
    target: Target,
    method: { interface: string; member: string },
    signature?: string,
    ...values: unknown[]
  ): Promise<readonly unknown[]>;
  /** Answers calls. To be called before {@link SessionBus.own}, whose name brings the first. */
  serve(object: Exported): void;
  own(name: string): Promise<void>;
  /** Calls the listener with each signal that the rule matches. */
  listen(rule: { interface: string; path?: string }, listener: (signal: Message) => void): Promise<void>;
  signal(
    from: { path: string; interface: string; member: string },
    signature?: string,
    ...values: unknown[]
  ): void;
  close(): void;
}

const PROPERTIES = 'org.freedesktop.DBus.Properties';
const BUS = { destination: 'org.freedesktop.DBus', path: '/org/freedesktop/DBus' };
const PRIMARY_OWNER = 1;

/** @param address where the bus listens; without it the one of this process's environment */
export async function connectToSessionBus(address?: string): Promise<SessionBus> {
  const bus = sessionBus(address === undefined ? {} : { busAddress: address });
  // Rejects when there is an error instead.
  await once(bus, 'connect');
  // A bus that ends before its tests do breaks their next call; there is nothing to do about it here.
  (bus as EventEmitter).on('error', () => undefined);

  const call: SessionBus['call'] = async (target, method, signature = '', ...body) => {
    const reply = await bus.call(new Message({ ...target, ...method, signature, body }));
    return reply?.body ?? [];
  };

  return {
    call,
    serve: (object) => bus.addMethodHandler((message) => answer(bus, object, message)),
    async own(name) {
      if ((await bus.requestName(name)) !== PRIMARY_OWNER)
        throw new Error(`${name} is owned by another program`);
    },
    async listen(rule, listener) {
      const path = rule.path === undefined ? '' : `,path='${rule.path}'`;
      bus.on('message', (message) => {
        if (message.type !== MessageType.SIGNAL || message.interface !== rule.interface) return;
        if (rule.path === undefined || message.path === rule.path) listener(message);
      });
      const match = `type='signal',interface='${rule.interface}'${path}`;
      await call(BUS, { interface: BUS.destination, member: 'AddMatch' }, 's', match);
    },
    signal: (from, signature = '', ...body) =>
      bus.send(Message.newSignal(from.path, from.interface, from.member, signature, body)),
    close: () => bus.disconnect(),
  };
}

/**
 * Answers by hand: the library's own way, a class with `configureMembers`, loses the members, because its constructor
 * lays empty fields over what was put into the prototype.
 * @returns whether the call was meant for this object
 */
function answer(bus: MessageBus, object: Exported, call: Message): boolean {
  const reply = call.path === object.path ? replyOf(object, call) : undefined;
  if (reply === undefined) return false;
  const [signature, ...body] = reply;
  bus.send(Message.newMethodReturn(call, signature, body));
  return true;
}

function replyOf({ interface: own, methods, properties }: Exported, call: Message): Reply | undefined {
  if (call.interface === own) return methods[call.member]?.(call);
  if (call.interface !== PROPERTIES || call.body[0] !== own) return undefined;
  const values = properties?.() ?? {};
  if (call.member === 'GetAll') return ['a{sv}', values];
  const value = call.member === 'Get' ? values[String(call.body[1])] : undefined;
  return value && ['v', value];
}
