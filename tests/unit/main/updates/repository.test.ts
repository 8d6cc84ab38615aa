import { describe, expect, it } from 'vitest';
import { REPOSITORY } from '../../../../app/version.ts';
import { gitHubRepository, releasePage } from '../../../../main/updates/repository.ts';
import manifest from '../../../../package.json' with { type: 'json' };

describe('the repository of package.json', () => {
  it.each([
    'octo-org/hello.world',
    'github:octo-org/hello.world',
    'https://github.com/octo-org/hello.world',
    'https://github.com/octo-org/hello.world/',
    'https://github.com/octo-org/hello.world.git#main',
    'git+https://github.com/octo-org/hello.world.git',
    'git+ssh://git@github.com/octo-org/hello.world.git',
    'git://github.com/octo-org/hello.world.git',
    'git@github.com:octo-org/hello.world.git',
  ])('is at GitHub: %s', (url) => {
    const repository = { owner: 'octo-org', name: 'hello.world' };
    expect(gitHubRepository(url)).toEqual(repository);
    expect(gitHubRepository({ type: 'git', url, directory: 'app' })).toEqual(repository);
  });

  it.each([
    undefined,
    null,
    '',
    42,
    {},
    { url: 1 },
    'hello',
    'gitlab:octo-org/hello',
    'https://gitlab.com/octo-org/hello',
    'https://github.com.evil.example/octo-org/hello',
    'https://evil.example/github.com/octo-org/hello',
    'https://evil.example/?https://github.com/octo-org/hello',
    'https://github.com/octo-org',
    'https://github.com/octo-org/hello/tree/main',
    'https://github.com/octo-org/..',
    'https://github.com/-octo/hello',
    'https://github.com/octo org/hello',
    'file:///octo-org/hello',
  ])('is none whose releases can be looked at: %j', (member) => {
    expect(gitHubRepository(member)).toBeUndefined();
  });

  it('is the one that the product is built with', () => {
    expect(REPOSITORY).toEqual('repository' in manifest ? manifest.repository : undefined);
  });

  it('has the page of a release, whatever its tag', () => {
    const repository = { owner: 'octo-org', name: 'hello' };
    expect(releasePage(repository, 'v1.2.3+4').href).toBe(
      'https://github.com/octo-org/hello/releases/tag/v1.2.3%2B4',
    );
    for (const tag of ['../../../evil/hello', '//evil.example', '?x#y', '\\..\\..', 'https://evil.example'])
      expect(releasePage(repository, tag).href).toMatch(
        /^https:\/\/github\.com\/octo-org\/hello\/releases\/tag\/[^/?#]+$/,
      );
  });
});
