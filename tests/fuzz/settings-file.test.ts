import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LOG_LEVELS } from '../../app/log.ts';
import { createSafeStorageCipher } from '../../main/secrets/safe-storage-cipher.ts';
import {
  entriesOf,
  type Members,
  parseDocument,
  SETTINGS_VERSION,
  serializeDocument,
} from '../../main/settings/document.ts';
import { openSettingsFile, type SettingsFile } from '../../main/settings/settings-file.ts';
import { givenFolder, RecordingLog } from '../support/broker.ts';
import {
  expectNoneOf,
  expectSentence,
  hostileJson,
  hostileText,
  jsonText,
  mutated,
  runs,
  settled,
} from '../support/fuzz.ts';
import { StandInSafeStorage } from '../support/safe-storage.ts';

const SECRETS = { clientSecret: 'cs-4Tq9Zm2Xb7', proxyApiKey: 'ak-7Qm2ZkV9pLx4' };

const value = fc.oneof(
  hostileJson,
  fc.constantFrom<unknown>('popup', 20, 601, true, 'debug', 2, 1.5, { sealed: 'djEwAAAA' }, { sealed: 7 }),
);
const server = mutated(
  {
    id: 'a',
    name: 'Work',
    upstreamMcpUrl: 'https://mcp.example/mcp',
    port: 5178,
    clientId: 'client-1',
    ...SECRETS,
  },
  ['id', 'profile', 'fromLaterVersion', '__proto__'],
  value,
);
const document = fc
  .record({
    top: mutated(
      {
        version: 1,
        loginWay: 'browser',
        loginWaitSeconds: 20,
        loginOnDemand: false,
        lookForNewVersions: false,
        logLevel: 'info',
      },
      ['servers', 'fromLaterVersion', '__proto__', 'toString'],
      value,
    ),
    servers: fc.oneof(
      { weight: 4, arbitrary: fc.array(server, { maxLength: 3 }) },
      { weight: 1, arbitrary: fc.array(value, { maxLength: 3 }) },
    ),
  })
  .map(({ top, servers }) => ({ servers, ...top }));
const fileText = fc.oneof(
  { weight: 8, arbitrary: document.map(jsonText) },
  { weight: 1, arbitrary: document.map((whole) => jsonText(whole).slice(0, -3)) },
  { weight: 1, arbitrary: fc.oneof(hostileText, hostileJson.map(jsonText)) },
);

describe('the text of a settings file', () => {
  it('is read as something that can be written and read again as the same, or not at all', () => {
    fc.assert(
      fc.property(fileText, (text) => {
        const parsed = parseDocument(text);
        if ('fault' in parsed) {
          expectSentence(parsed.fault);
          expectNoneOf(Object.values(SECRETS), parsed.fault);
          return;
        }
        const ids = entriesOf(parsed.document).map(({ id }) => id);
        expect(new Set(ids).size).toBe(ids.length);
        expect(parseDocument(serializeDocument(parsed.document))).toEqual(parsed);
      }),
      runs(2_000),
    );
  });
});

describe('a settings file of any content', () => {
  it('never stops the app, is never lost, and is written without a secret in the clear', async () => {
    const root = await givenFolder();
    let turn = 0;
    await fc.assert(
      fc.asyncProperty(fileText, fc.boolean(), async (text, isUtf8) => {
        const folder = path.join(root, String(turn++));
        const file = path.join(folder, 'settings.json');
        const bytes = Buffer.from(text, isUtf8 ? 'utf8' : 'utf16le');
        await mkdir(folder, { mode: 0o700 });
        await writeFile(file, bytes, { mode: 0o600 });
        const log = new RecordingLog();
        const settings = await opened(await openSettingsFile(file, { cipher: cipher(), log }));
        expectUsable(settings);

        // Until something is changed, what was there is there, in its place or beside it.
        expect(await contents(folder)).toEqual([bytes]);
        const before = settings.servers;
        const draft = { name: 'New', settings: { upstreamMcpUrl: 'https://new.example/mcp', port: 5990 } };
        const { error } = await settled(settings.addServer(draft));
        expectUsable(settings);
        expectNoneOf(Object.values(SECRETS), log.entries, settings.notices, error);
        if (error !== undefined) return;

        expect(settings.servers.map(({ id }) => id).slice(0, -1)).toEqual(before.map(({ id }) => id));
        const original = parseDocument(bytes.toString('utf8'));
        if ('fault' in original) {
          expect(await contents(folder)).toContainEqual(bytes);
        } else if (original.document.version > SETTINGS_VERSION) {
          expect(await contents(folder)).toEqual([bytes]);
          return;
        }
        const written = await readFile(file, 'utf8');
        const parsed = parseDocument(written);
        if ('fault' in parsed) throw new Error(parsed.fault);
        expect(entriesOf(parsed.document).at(-1)).toMatchObject(draft.settings);
        if ('fault' in original) return;
        const { servers, ...rest } = original.document;
        expect(parsed.document).toMatchObject(rest);
        expect(parsed.document.servers.slice(0, -1).map(withoutSecrets)).toEqual(servers.map(withoutSecrets));
        for (const [name, secret] of Object.entries(SECRETS))
          expect(entriesOf(parsed.document).map((entry) => entry[name])).not.toContain(secret);
        // Another start finds the same.
        const again = await opened(await openSettingsFile(file, { cipher: cipher(), log }));
        expect(again.servers).toEqual(settings.servers);
        expect(again.settings).toEqual(settings.settings);
      }),
      runs(250),
    );
  });
});

function cipher() {
  const safeStorage = new StandInSafeStorage({ calls: 'both', platform: 'linux' }).calls;
  return createSafeStorageCipher({ safeStorage, appName: 'MCP Auth Proxy', platform: 'linux' });
}

async function opened(settings: SettingsFile): Promise<SettingsFile> {
  while (settings.servers.some(({ isOpening }) => isOpening)) await once(settings, 'change');
  return settings;
}

function expectUsable({ settings, notices }: SettingsFile): void {
  expect(['popup', 'browser']).toContain(settings.loginWay);
  expect(settings.loginWaitSeconds).toBeGreaterThanOrEqual(0);
  expect(settings.loginWaitSeconds).toBeLessThanOrEqual(600);
  expect(typeof settings.loginOnDemand).toBe('boolean');
  expect(typeof settings.lookForNewVersions).toBe('boolean');
  expect(LOG_LEVELS).toContain(settings.logLevel);
  for (const { message, cure } of notices) {
    expectSentence(message);
    if (cure !== undefined) expectSentence(cure);
  }
}

async function contents(folder: string): Promise<Buffer[]> {
  const names = await readdir(folder);
  return Promise.all(names.map((name) => readFile(path.join(folder, name))));
}

function withoutSecrets(entry: unknown): unknown {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) return entry;
  const secret = [...Object.keys(SECRETS), 'tokenStoreKey'];
  return Object.fromEntries(Object.entries(entry as Members).filter(([name]) => !secret.includes(name)));
}
