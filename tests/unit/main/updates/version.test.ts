import { describe, expect, it } from 'vitest';
import { isOffered, versionOfTag } from '../../../../main/updates/version.ts';

/** Each one is newer than all before it; the row of prereleases is that of the specification, item 11. */
const IN_ORDER = [
  '0.1.0',
  '0.1.9',
  '0.1.10',
  '0.2.0',
  '0.10.0',
  '1.0.0-0',
  '1.0.0-0.3.7',
  '1.0.0-9',
  '1.0.0-10',
  '1.0.0-alpha',
  '1.0.0-alpha.1',
  '1.0.0-alpha.beta',
  '1.0.0-beta',
  '1.0.0-beta.2',
  '1.0.0-beta.11',
  '1.0.0-rc.1',
  '1.0.0',
  '2.0.0',
  '10.0.0',
  '9007199254740993.0.0',
  '9007199254740994.0.0',
];

describe('a version', () => {
  it('is offered to those who have an older one, and prereleases to those who have one', () => {
    for (const [at, present] of IN_ORDER.entries())
      for (const [other, candidate] of IN_ORDER.entries()) {
        const mayBe = !candidate.includes('-') || present.includes('-');
        expect(isOffered(candidate, present), `${candidate} to ${present}`).toBe(other > at && mayBe);
      }
  });

  it('is not newer by its build alone', () => {
    expect(isOffered('1.0.0+2', '1.0.0+1')).toBe(false);
    expect(isOffered('1.0.1+1', '1.0.0+2')).toBe(true);
  });

  it.each([
    ['v1.2.3', '1.2.3'],
    ['1.2.3', '1.2.3'],
    ['v1.2.3-rc.1+build.5', '1.2.3-rc.1+build.5'],
  ])('is what the tag %s names', (tag, version) => {
    expect(versionOfTag(tag)).toBe(version);
  });

  it.each([
    '',
    'v',
    'latest',
    'vv1.2.3',
    '1.2',
    '1.2.3.4',
    '01.2.3',
    '1.2.3-01',
    '1.2.3-',
    '1.2.3-a..b',
    ' 1.2.3',
    '1.2.3\n',
    '1.2.3/../../x',
    '1.2.3-\u202Egnp',
    `1.2.3-${'a'.repeat(60)}`,
  ])('is not what the tag %j names', (tag) => {
    expect(versionOfTag(tag)).toBeUndefined();
    expect(isOffered(tag, '0.0.1')).toBe(false);
  });
});
