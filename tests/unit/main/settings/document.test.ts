import { describe, expect, it } from 'vitest';
import { SettingsError } from '../../../../app/settings.ts';
import {
  appSettingsOf,
  checkAppSettings,
  DEFAULT_APP_SETTINGS,
  entriesOf,
  mapEntries,
  parseDocument,
  type SettingsDocument,
  serializeDocument,
  withMembers,
} from '../../../../main/settings/document.ts';

function parsed(value: unknown): SettingsDocument {
  const result = parseDocument(JSON.stringify(value));
  if ('fault' in result) throw new Error(result.fault);
  return result.document;
}

describe('parseDocument', () => {
  it('keeps every member, those it does not know among them, and their order', () => {
    const value = { $schema: 'x', version: 1, later: { a: [1] }, servers: [{ id: 'a', later: 2 }, 'text'] };
    expect(serializeDocument(parsed(value))).toBe(`${JSON.stringify(value, undefined, 2)}\n`);
  });

  it('takes a file without a version for one of the first, and one without servers for one with none', () => {
    expect(parsed({ loginWay: 'browser' })).toEqual({ version: 1, loginWay: 'browser', servers: [] });
  });

  it.each([
    ['', /^it is not valid JSON/],
    ['{"a": 1,}', /^it is not valid JSON/],
    ['[]', /^it is not a JSON object$/],
    ['null', /^it is not a JSON object$/],
    ['{"version": "1"}', /^its "version"/],
    ['{"version": 0}', /^its "version"/],
    ['{"servers": {}}', /^its "servers"/],
  ])('refuses %j', (text, fault) => {
    expect(parseDocument(text)).toEqual({ fault: expect.stringMatching(fault) });
  });

  it('refuses what is nested so deeply that it could not be written again', () => {
    const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
    expect(parseDocument(`{"fromLaterVersion": ${deep}}`)).toEqual({ fault: 'it is nested too deeply' });
  });

  it('says the line of a mistake where it is known, and quotes nothing', () => {
    const text = '{\n  "servers": [\n    { "clientSecret": "s3cret-value" "port": 1 }\n  ]\n}';
    const result = parseDocument(text);
    expect(result).toEqual({ fault: 'it is not valid JSON (line 3)' });
    const unquoted = parseDocument('{"clientSecret": s3cret-value}');
    expect(JSON.stringify(unquoted)).not.toContain('s3c');
  });

  it('gives servers without an id of their own one that is the same each time', () => {
    const upstreamMcpUrl = 'https://mcp.example.com/mcp';
    const value = {
      servers: [
        { upstreamMcpUrl },
        { upstreamMcpUrl },
        { id: 'a' },
        { id: 'a' },
        { id: 'environment' },
        { id: 7 },
        { id: '../x' },
      ],
    };
    const ids = entriesOf(parsed(value)).map(({ id }) => id);
    expect(new Set(ids).size).toBe(7);
    expect(ids).not.toContain('environment');
    expect(ids[2]).toBe('a');
    expect(ids.every((id) => /^[\w.-]{1,64}$/.test(id))).toBe(true);
    expect(entriesOf(parsed(value)).map(({ id }) => id)).toEqual(ids);
  });
});

describe('appSettingsOf', () => {
  it('has defaults', () => {
    expect(appSettingsOf(parsed({}))).toEqual({ settings: DEFAULT_APP_SETTINGS, faults: [] });
  });

  it('reads what is there', () => {
    const settings = {
      loginWay: 'browser',
      loginWaitSeconds: 0,
      loginOnDemand: true,
      lookForNewVersions: false,
      logLevel: 'debug',
    };
    expect(appSettingsOf(parsed(settings)).settings).toEqual(settings);
  });

  it('lets one that is wrong take no other down', () => {
    const { settings, faults } = appSettingsOf(
      parsed({
        loginWay: 'smoke signals',
        loginWaitSeconds: 601,
        loginOnDemand: 'yes',
        lookForNewVersions: 1,
        logLevel: 'debug',
      }),
    );
    expect(settings).toEqual({ ...DEFAULT_APP_SETTINGS, logLevel: 'debug' });
    expect(faults).toEqual([
      'loginWay must be popup or browser.',
      'loginWaitSeconds must be a whole number of seconds from 0 to 600.',
      'loginOnDemand must be true or false.',
      'lookForNewVersions must be true or false.',
    ]);
  });
});

describe('checkAppSettings', () => {
  it('takes known members alone', () => {
    const changes = { loginWaitSeconds: 30, other: 1 };
    expect(checkAppSettings(changes)).toEqual({ loginWaitSeconds: 30 });
  });

  it.each([-1, 601, 1.5, Number.NaN])('refuses to wait for %s seconds', (loginWaitSeconds) => {
    expect(() => checkAppSettings({ loginWaitSeconds })).toThrow(SettingsError);
  });
});

describe('changes', () => {
  it('take out what is undefined', () => {
    expect(withMembers({ a: 1, b: 2 } as Record<string, unknown>, { a: undefined, c: 3 })).toEqual({
      b: 2,
      c: 3,
    });
  });

  it('leave what is no server where it is', () => {
    const document = parsed({ servers: ['?', { id: 'a' }, 5, { id: 'b' }] });
    const changed = mapEntries(document, (entry) => (entry.id === 'a' ? undefined : entry));
    expect(changed.servers).toEqual(['?', 5, { id: 'b' }]);
  });
});
