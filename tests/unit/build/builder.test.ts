import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { builderCommand, builderEnvironment, RELEASE } from '../../../build/builder.mjs';

const given = (command: readonly string[]) =>
  Object.fromEntries(
    command.flatMap((argument) => {
      const [, name, value] = /^--config\.([^=]+)=(.*)$/.exec(argument) ?? [];
      return name === undefined ? [] : [[name, value]];
    }),
  );

describe('builderCommand', () => {
  const onMac = (env: NodeJS.ProcessEnv) => given(builderCommand([], { env, platform: 'darwin' }));

  it('publishes nothing, and passes on what it is told', () => {
    const command = builderCommand(['--linux', 'dir'], { env: {}, platform: 'linux' });
    expect(command[0]).toMatch(/electron-builder[/\\]cli\.js$/);
    expect(command.slice(1)).toEqual(['--publish', 'never', '--linux', 'dir']);
  });

  it('signs for nobody on a Mac without an identity', () => {
    for (const env of [{}, { CSC_LINK: '' }]) {
      expect(onMac(env)).toEqual({
        'mac.identity': '-',
        'mac.hardenedRuntime': 'false',
        'mac.notarize': 'false',
      });
    }
  });

  it('signs where there is an identity, or fails', () => {
    expect(onMac({ CSC_LINK: 'certificate' })).toEqual({ forceCodeSigning: 'true', 'mac.notarize': 'false' });
    expect(onMac({ CSC_NAME: 'Ada' })).toHaveProperty('forceCodeSigning', 'true');
  });

  it('notarises with all of an API key, and what is signed only', () => {
    const key = { APPLE_API_KEY: 'key.p8', APPLE_API_KEY_ID: 'ID', APPLE_API_ISSUER: 'issuer' };
    expect(onMac({ CSC_LINK: 'certificate', ...key })).toHaveProperty(['mac.notarize'], 'true');
    expect(onMac({ CSC_LINK: 'certificate', ...key, APPLE_API_ISSUER: '' })).toHaveProperty(
      ['mac.notarize'],
      'false',
    );
    expect(onMac(key)).toHaveProperty(['mac.notarize'], 'false');
  });

  it('says no word of a secret', () => {
    const env = { CSC_LINK: 'certificate-4711', CSC_KEY_PASSWORD: 'password-0815' };
    expect(builderCommand([], { env, platform: 'darwin' }).join(' ')).not.toMatch(/4711|0815/);
  });

  it('moves every path of electron-builder.yml that lies in the release folder', async () => {
    const config = parse(await readFile(new URL('../../../electron-builder.yml', import.meta.url), 'utf8'));
    const paths = new Map<string, string>();
    const collect = (value: unknown, name: string) => {
      if (typeof value === 'string' && /^release\b/.test(value)) paths.set(name, value);
      else if (typeof value === 'object' && value !== null)
        for (const [key, inner] of Object.entries(value))
          collect(inner, name === '' ? key : `${name}.${key}`);
    };
    collect(config, '');
    const moved = given(builderCommand([], { folder: '/elsewhere', env: {}, platform: 'linux' }));
    expect(moved).toEqual(
      Object.fromEntries([...paths].map(([name, path]) => [name, path.replace('release', '/elsewhere')])),
    );
    expect(RELEASE).toMatch(/release$/);
  });
});

describe('builderEnvironment', () => {
  it('leaves out the variables of signing that are empty', () => {
    const env = { CSC_LINK: '', CSC_NAME: 'Ada', APPLE_API_KEY: '', PATH: '/bin', OTHER: '' };
    expect(builderEnvironment(env)).toEqual({ CSC_NAME: 'Ada', PATH: '/bin', OTHER: '' });
  });
});
