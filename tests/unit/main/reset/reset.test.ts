import { describe, expect, it } from 'vitest';
import { type ResetParts, reset } from '../../../../main/reset/reset.ts';

/** What a reset did, in order, and what it left for the next start to tell. */
async function resetWith(parts: Partial<ResetParts> = {}) {
  const did: string[] = [];
  let left: readonly string[] | undefined;
  const done = async <T>(what: string, answer: T) => {
    did.push(what);
    return answer;
  };
  await reset({
    forgetServers: () => done('log out', []),
    stopWriting: () => done('stop writing', undefined),
    loginItem: { isOn: async () => true, set: (on) => done(`start at login: ${on}`, undefined) },
    deleteKey: () => done('delete the key', undefined),
    erase: () => done('erase', []),
    keep: async (leftovers) => {
      left = leftovers;
    },
    ...parts,
  });
  return { did, left };
}

describe('a reset', () => {
  it('logs out while there still is a store, and erases when nothing is written any more', async () => {
    expect(await resetWith()).toEqual({
      did: ['log out', 'start at login: false', 'delete the key', 'stop writing', 'erase'],
      left: undefined,
    });
    expect((await resetWith({ loginItem: undefined })).left).toBeUndefined();
  });

  it('says nothing of logins that were ended, or were never there', async () => {
    const { left } = await resetWith({
      forgetServers: async () => [
        { name: 'A', outcome: 'revoked' },
        { name: 'B', outcome: 'nothing_to_revoke' },
      ],
    });
    expect(left).toBeUndefined();
  });

  it('says what could not be undone, each with its server or place', async () => {
    const { did, left } = await resetWith({
      forgetServers: async () => [
        { name: 'A', outcome: 'failed' },
        { name: 'B', outcome: 'failed' },
        { name: 'C', outcome: 'not_supported' },
        { name: 'D', outcome: 'still_stored', reason: 'The macOS Keychain is locked.' },
        { name: 'E', outcome: 'late' },
        { name: 'F', outcome: 'misconfigured' },
        { name: 'G', outcome: 'still_stored' },
      ],
      loginItem: { isOn: async () => true, set: () => Promise.reject(new Error('no')) },
      deleteKey: async () => 'The key is left.',
      erase: async () => ['A file is left.'],
    });
    expect(did).toEqual(['stop writing']);
    expect(left).toEqual([
      'Could not be told that your login has ended: A, B. End it in your account there, too.',
      'Cannot be told that your login has ended: C. It ends there by itself.',
      expect.stringMatching(/^Had a wrong setting.*: F\. /),
      expect.stringMatching(/^Could not be logged out in time: E\. /),
      'The login of D is still stored here, and perhaps still good there. The macOS Keychain is locked.',
      'The login of G is still stored here, and perhaps still good there.',
      expect.stringContaining('Start at login could not be turned off'),
      'The key is left.',
      'A file is left.',
    ]);
  });

  it('ends well where nothing can be kept for the next start', async () => {
    await resetWith({
      erase: async () => ['A file is left.'],
      keep: () => Promise.reject(new Error('read-only')),
    });
  });
});
