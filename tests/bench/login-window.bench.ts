import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it, onTestFinished } from 'vitest';
import { createFileStore } from '../../app/store/file.ts';
import { createKeychainStore } from '../../app/store/keychain.ts';
import type { SecretStore } from '../../app/store/secret-store.ts';
import { givenBroker, givenUpstream, logIn } from '../support/broker.ts';
import { givenKeychain, onPath, outcomeOf } from '../support/login.ts';

const REFRESHES = 200;

/**
 * How long a rotated refresh token is nowhere but in memory and on the wire: from the moment at which the authorization
 * server has handed its answer over until the new token is stored. A process that dies in between loses its login.
 */
describe('the window in which a login can be lost', () => {
  it('of a file store', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'window-bench-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    console.log(`file store: ${await measure(createFileStore({ folder }), REFRESHES)}`);
  });

  it('of a Keychain, in commands', async () => {
    const keychain = await givenKeychain();
    const store = createKeychainStore({ service: 'bench', securityBin: keychain.securityBin });
    for (const length of [1_000, 3_000, 6_000]) {
      const account = createHash('sha256').update(String(length)).digest('hex');
      await store.set(account, 'x'.repeat(length));
      const before = (await keychain.calls()).filter(({ args }) => args !== undefined).length;
      await store.set(account, 'y'.repeat(length));
      const commands = (await keychain.calls()).filter(({ args }) => args !== undefined).slice(before);
      const head = commands.findLastIndex(({ args }) => args?.[0] === '-i');
      console.log(
        `Keychain: a login of ${length} bytes is stored by command ${head + 1} of ${commands.length}`,
      );
    }
  });
});

async function measure(store: SecretStore, refreshes: number): Promise<string> {
  const upstream = await givenUpstream({ authorizationServer: { accessTokenSeconds: 300 } });
  let answeredAt = 0;
  upstream.authorizationServer.behaviour.respond = onPath('/token', (_request, response) => {
    response.once('finish', () => {
      answeredAt = performance.now();
    });
    return false;
  });
  const windows: number[] = [];
  const { set } = store;
  const timed: SecretStore = {
    ...store,
    set: async (account, value) => {
      await set(account, value);
      windows.push(performance.now() - answeredAt);
    },
  };
  const { broker } = await givenBroker(upstream.mcpServer.jsonUrl, {}, timed);
  await logIn(broker);
  windows.length = 0;
  while (windows.length < refreshes) {
    upstream.mcpServer.rejectCurrentTokens();
    await outcomeOf(broker);
  }
  const sorted = windows.sort((a, b) => a - b);
  const at = (share: number) =>
    sorted[Math.min(Math.floor(share * sorted.length), sorted.length - 1)]?.toFixed(1);
  return `${sorted.length} refreshes, median ${at(0.5)} ms, 95 % within ${at(0.95)} ms, longest ${at(1)} ms`;
}
