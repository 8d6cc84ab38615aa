import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ServerInput } from '../../../../main/ipc/contract.ts';
import { formOf, movedTo, storedFrom } from '../../../../main/servers/server-form.ts';
import type { StoredServer } from '../../../../main/settings/server-settings.ts';

const UPSTREAM = 'https://mcp.example.com/mcp';
const SECRET = 'correct-horse-9f3b';

const EMPTY: ServerInput = {
  name: '',
  upstreamMcpUrl: '',
  port: '6000',
  scopes: '',
  profile: '',
  clientId: '',
  clientSecret: 'keep',
  authorizationEndpoint: '',
  tokenEndpoint: '',
  issuer: '',
  probePath: '',
};

const PREVIOUS: StoredServer = {
  id: 'a',
  name: 'Craft',
  settings: {
    upstreamMcpUrl: UPSTREAM,
    port: 6000,
    scopes: 'read',
    clientId: 'me',
    clientSecret: SECRET,
    proxyApiKey: 'another-secret',
    requirePkceMetadata: false,
    later: [1],
  },
  unreadable: {},
  isOpening: false,
};

function fill(
  input: Partial<ServerInput>,
  { previous, others = [] }: { previous?: StoredServer; others?: readonly StoredServer[] } = {},
) {
  return storedFrom(
    { ...EMPTY, upstreamMcpUrl: UPSTREAM, ...input },
    { previous, others, stateDir: '/state' },
  );
}

const inputOf = (server: StoredServer): ServerInput => {
  const { clientSecretPresent, ...form } = formOf(server);
  return { ...form, clientSecret: 'keep' };
};

describe('formOf', () => {
  it('shows what can be edited, and no secret', () => {
    const form = formOf(PREVIOUS);
    expect(form).toEqual({
      name: 'Craft',
      upstreamMcpUrl: UPSTREAM,
      port: '6000',
      scopes: 'read',
      profile: '',
      clientId: 'me',
      clientSecretPresent: true,
      authorizationEndpoint: '',
      tokenEndpoint: '',
      issuer: '',
      probePath: '',
    });
  });

  it('shows the port that goes without saying, and that there is a secret nobody can read', () => {
    const unreadable = { clientSecret: 'It is locked.' };
    const form = formOf({ ...PREVIOUS, name: undefined, settings: { scopes: 7, probePath: {} }, unreadable });
    expect(form).toMatchObject({ port: '5177', scopes: '7', probePath: '', clientSecretPresent: true });
  });
});

describe('storedFrom', () => {
  it('makes a server of what was filled in', async () => {
    const result = await fill({
      name: ' My\nserver ',
      upstreamMcpUrl: ` ${UPSTREAM} `,
      port: ' 6001 ',
      clientId: 'me',
      clientSecret: { value: SECRET },
    });
    expect(result).toEqual({
      draft: {
        name: 'My server',
        settings: { upstreamMcpUrl: UPSTREAM, port: 6001, clientId: 'me', clientSecret: SECRET },
      },
    });
  });

  it('keeps what it has no field for, and mentions no secret that stays', async () => {
    const { clientSecret, proxyApiKey, scopes, ...settings } = PREVIOUS.settings;
    const result = await fill({ ...inputOf(PREVIOUS), scopes: ' ' }, { previous: PREVIOUS });
    expect(result).toEqual({ draft: { name: 'Craft', settings } });
  });

  it.each([
    ['upstreamMcpUrl', 'https://other.example.com/mcp'],
    ['tokenEndpoint', 'https://other.example.com/token'],
    ['issuer', 'https://other.example.com'],
  ] as const)('sends no secret that stays to another server (%s)', async (field, value) => {
    const endpoints = {
      authorizationEndpoint: 'https://a.example.com',
      tokenEndpoint: 'https://t.example.com',
    };
    const previous = { ...PREVIOUS, settings: { ...PREVIOUS.settings, ...endpoints } };
    const { clientSecret, ...settings } = PREVIOUS.settings;
    const withoutSecret = { ...previous, settings: { ...settings, ...endpoints } };
    const unreadable = {
      ...withoutSecret,
      unreadable: { clientSecret: 'It is locked.' },
    };
    const input = { ...inputOf(previous), [field]: value };
    for (const one of [previous, unreadable])
      expect(await fill(input, { previous: one })).toEqual({
        faults: {
          clientSecret: 'Client secret would go to another server now; enter it again, or remove it.',
        },
      });
    for (const text of [SECRET, ''])
      expect(await fill({ ...input, clientSecret: { value: text } }, { previous })).toHaveProperty('draft');
    expect(await fill(input, { previous: withoutSecret })).toHaveProperty('draft');
  });

  it('takes a secret out', async () => {
    const result = await fill({ ...inputOf(PREVIOUS), clientSecret: { value: '' } }, { previous: PREVIOUS });
    expect(result).toMatchObject({ draft: { settings: { clientSecret: '' } } });
  });

  it('finds a port where none was typed', async () => {
    const others = [
      PREVIOUS,
      { ...PREVIOUS, id: 'b', settings: { upstreamMcpUrl: 'https://b.example.com' } },
    ];
    const server = createServer().listen(5178, '127.0.0.1');
    await Promise.race([once(server, 'listening'), once(server, 'error')]);
    onTestFinished(() => void server.close());
    const result = await fill({ port: '', profile: 'other' }, { others });
    if (!('draft' in result)) throw new Error(JSON.stringify(result));
    expect(result.draft.settings.port).toBeGreaterThan(5178);

    const kept = await fill({ ...inputOf(PREVIOUS), port: '' }, { previous: PREVIOUS });
    expect(kept).toMatchObject({ draft: { settings: { port: 6000 } } });
  });

  it.each<[Partial<ServerInput>, Record<string, string>]>([
    [
      { upstreamMcpUrl: ' ' },
      { upstreamMcpUrl: 'Enter the URL of the MCP server, e.g. https://mcp.example.com/mcp.' },
    ],
    [
      { upstreamMcpUrl: 'mcp.example.com' },
      {
        upstreamMcpUrl:
          'URL of the MCP server "mcp.example.com" is not an absolute URL; write it like https://mcp.example.com/mcp.',
      },
    ],
    [{ port: '0' }, { port: 'Local port must be a whole number from 1 to 65535.' }],
    [{ port: '65536' }, { port: 'Local port must be a whole number from 1 to 65535.' }],
    [{ port: '6e3' }, { port: 'Local port must be a whole number from 1 to 65535.' }],
    [{ name: 'x'.repeat(81) }, { name: 'Name must have at most 80 characters.' }],
    [
      { profile: 'a b', scopes: '"' },
      {
        profile: 'Profile "a b" must be 1 to 64 letters, digits, "-", "." or "_".',
        scopes: 'Scopes """ must be scope names separated by spaces.',
      },
    ],
    [
      { clientSecret: { value: SECRET } },
      {
        clientSecret: 'Client secret is set without Client ID; set the client ID the secret belongs to.',
      },
    ],
    [
      { tokenEndpoint: 'https://as.example.com/token' },
      {
        tokenEndpoint:
          'Token endpoint is set without Authorization endpoint; set both, or neither to let discovery find them.',
      },
    ],
  ])('says what is wrong at its field: %j', async (input, faults) => {
    expect(await fill(input)).toEqual({ faults });
  });

  it('shows no secret in a fault', async () => {
    const result = await fill({ clientId: 'me', clientSecret: { value: `${SECRET}\n` } });
    expect(result).toEqual({ faults: { clientSecret: 'Client secret must be printable ASCII.' } });
  });

  it('knows the secret that stays when it checks what belongs to it', async () => {
    const result = await fill({ ...inputOf(PREVIOUS), clientId: '' }, { previous: PREVIOUS });
    expect(result).toEqual({ faults: { clientSecret: expect.stringContaining('without Client ID') } });
  });

  it('tells faults of what it has no field for above all fields', async () => {
    const previous = {
      ...PREVIOUS,
      settings: { ...PREVIOUS.settings, bind: '0.0.0.0.0', redirectPath: '/mcp' },
    };
    expect(await fill(inputOf(previous), { previous })).toEqual({
      faults: { '': expect.stringMatching(/^bind .*\. redirectPath .*\.$/) },
    });
  });

  it('knows the ports and logins of the others', async () => {
    const others = [PREVIOUS];
    expect(await fill({}, { others })).toEqual({
      faults: {
        port: 'Local port 6000 belongs to Craft; take another one.',
        upstreamMcpUrl: 'The same URL and profile belong to Craft; give this one another profile.',
      },
    });
    expect(await fill({ port: '6001', profile: 'other' }, { others })).toHaveProperty('draft');
  });
});

describe('movedTo', () => {
  it('changes the port alone', () => {
    const { clientSecret, proxyApiKey, ...settings } = PREVIOUS.settings;
    expect(movedTo(PREVIOUS, 6009)).toEqual({ name: 'Craft', settings: { ...settings, port: 6009 } });
  });
});
