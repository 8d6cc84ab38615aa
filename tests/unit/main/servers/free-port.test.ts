import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { findFreePort } from '../../../../main/servers/free-port.ts';

async function givenTakenPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

describe('findFreePort', () => {
  it('passes over ports that are taken and ports of others', async () => {
    const taken = await givenTakenPort();
    const skip = new Set([taken + 1, taken + 2]);
    const free = await findFreePort(taken, { skip });
    expect(free).toBeGreaterThan(taken + 2);
    const server = createServer().listen(free, '127.0.0.1');
    await once(server, 'listening');
    server.close();
  });

  it('takes the first one when it is free', async () => {
    const free = await findFreePort(await givenTakenPort());
    expect(await findFreePort(free ?? 0)).toBe(free);
  });

  it('ends at the last port there is', async () => {
    expect(await findFreePort(65_534, { skip: new Set([65_534, 65_535]) })).toBeUndefined();
    expect(await findFreePort(65_536)).toBeUndefined();
  });

  it('knows no free port of an address that is not of this machine', async () => {
    expect(await findFreePort(5177, { bind: '192.0.2.1' })).toBeUndefined();
  });
});
