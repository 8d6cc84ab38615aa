import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { watchNetworkChanges } from '../../../../main/network/changes.ts';
import { givenFolder } from '../../../support/broker.ts';

/** A list of name servers, which is a link as on most systems. */
async function givenNameServers() {
  const folder = await givenFolder();
  const [etc, run] = [path.join(folder, 'etc'), path.join(folder, 'run')];
  await Promise.all([mkdir(etc), mkdir(run)]);
  const [link, file] = [path.join(etc, 'resolv.conf'), path.join(run, 'stub-resolv.conf')];
  await writeFile(file, 'nameserver 192.0.2.1\n');
  await symlink(file, link);
  return { link, file, run };
}

interface Watched {
  count: number;
  /** Resolves with the next call. */
  next(): Promise<void>;
  stop(): void;
}

async function watched(file: string): Promise<Watched> {
  let notify: () => void = () => undefined;
  const changes: Watched = {
    count: 0,
    next: () =>
      new Promise((resolve) => {
        notify = resolve;
      }),
    stop: await watchNetworkChanges(
      () => {
        changes.count++;
        notify();
      },
      { file, settleMs: 5 },
    ),
  };
  onTestFinished(() => changes.stop());
  return changes;
}

it.each(['stub-resolv.conf', 'resolv.conf'])('tells when the system replaces %s', async (name) => {
  const { link, run } = await givenNameServers();
  const changes = await watched(link);
  for (const address of ['192.0.2.2', '192.0.2.3']) {
    const change = changes.next();
    await writeFile(path.join(run, 'new'), `nameserver ${address}\n`);
    await rename(path.join(run, 'new'), path.join(run, name));
    await change;
  }
});

it('does not tell of other files', async () => {
  const { link, file, run } = await givenNameServers();
  const changes = await watched(link);
  await writeFile(path.join(run, 'other'), '');
  const change = changes.next();
  await writeFile(file, 'nameserver 192.0.2.2\n');
  await change;
  expect(changes.count).toBe(1);
});

it('is of no harm where there is no such file', async () => {
  const changes = await watched(path.join(await givenFolder(), 'missing', 'resolv.conf'));
  changes.stop();
});
