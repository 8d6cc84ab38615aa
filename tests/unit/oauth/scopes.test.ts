import { describe, expect, it } from 'vitest';
import {
  DEFAULT_SCOPES,
  promptFor,
  type ScopeSources,
  selectScope,
  unionOfScopes,
} from '../../../app/oauth/scopes.ts';

const NOTHING: ScopeSources = {
  configured: undefined,
  challenged: undefined,
  resource: undefined,
  server: undefined,
  overridden: false,
  kept: undefined,
};

const select = (sources: Partial<ScopeSources>) => selectScope({ ...NOTHING, ...sources });

describe('selectScope', () => {
  it.each<[string, Partial<ScopeSources>, string | undefined]>([
    ['nothing is known: no scope is asked for', {}, undefined],
    ['the metadata names none', { resource: [] }, undefined],
    ['the metadata of the resource', { resource: ['a', 'b'] }, 'a b'],
    ['the challenge before the metadata', { challenged: 'c', resource: ['a'] }, 'c'],
    ['what was configured before everything', { configured: 'x', challenged: 'c', resource: ['a'] }, 'x'],
    ['entered endpoints and nothing else', { overridden: true }, DEFAULT_SCOPES],
    ['entered endpoints and a challenge', { overridden: true, challenged: 'c' }, 'c'],
    ['the server’s scopes are not asked for', { server: ['s', 't'] }, undefined],
    [
      'offline_access where it is advertised',
      { resource: ['a'], server: ['a', 'offline_access'] },
      'a offline_access',
    ],
    [
      'offline_access once',
      { challenged: 'offline_access a', server: ['offline_access'] },
      'offline_access a',
    ],
    ['offline_access not where it is not advertised', { challenged: 'a', server: ['a'] }, 'a'],
    ['no scope stays no scope', { server: ['offline_access'] }, undefined],
    ['nothing is added to what was configured', { configured: 'x', server: ['offline_access'] }, 'x'],
    ['a step-up keeps what there was', { kept: 'a b', challenged: 'b c' }, 'a b c'],
    ['a step-up beside what was configured', { configured: 'x', kept: 'x a', challenged: 'c' }, 'x a c'],
  ])('%s', (_, sources, expected) => {
    expect(select(sources)).toBe(expected);
  });
});

describe('promptFor', () => {
  it.each([
    ['a offline_access b', 'consent'],
    ['offline_access', 'consent'],
    ['offline_access_x', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('%s: %s', (scope, expected) => {
    expect(promptFor(scope)).toBe(expected);
  });
});

describe('unionOfScopes', () => {
  it('names each scope once, in order of first mention', () => {
    expect(unionOfScopes('b a', undefined, ' a  c\tb ', '')).toBe('b a c');
  });

  it('is nothing where there is none', () => {
    expect(unionOfScopes()).toBeUndefined();
    expect(unionOfScopes(undefined, '', ' ')).toBeUndefined();
  });
});
