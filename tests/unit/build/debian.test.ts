import { describe, expect, it } from 'vitest';
import { installable, TEST_PACKAGES } from '../../../build/debian.mjs';

describe('installable', () => {
  it('finds the packages that apt-cache has a candidate for', () => {
    const lines = [
      'libasound2t64:',
      '  Installed: (none)',
      '  Candidate: 1.2.14-1',
      '  Version table:',
      '     1.2.14-1 500',
      '        500 http://deb.debian.org/debian trixie/main amd64 Packages',
      'libasound2:',
      '  Installed: (none)',
      '  Candidate: (none)',
      '  Version table:',
      'libnss3:',
      '  Installed: 2:3.87.1-1',
      '  Candidate: 2:3.87.1-1',
    ];
    expect([...installable(lines)]).toEqual(['libasound2t64', 'libnss3']);
  });

  it('finds nothing in what an unknown command says', () => {
    expect([...installable(['spawn apt-cache ENOENT'])]).toEqual([]);
  });
});

describe('TEST_PACKAGES', () => {
  it('names each package once', () => {
    const names = TEST_PACKAGES.flat();
    expect(names).toEqual([...new Set(names)]);
  });
});
