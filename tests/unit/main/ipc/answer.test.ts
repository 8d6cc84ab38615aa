import { expect, it } from 'vitest';
import { LoginFailure } from '../../../../app/oauth/errors.ts';
import { SettingsError } from '../../../../app/settings.ts';
import { SecretStoreError } from '../../../../app/store/secret-store.ts';
import { plainMessage } from '../../../../main/ipc/answer.ts';

it('passes on what was written for people', () => {
  expect(plainMessage(new LoginFailure('store_failed', 'It failed.', 'Try again.'))).toBe(
    'It failed. Try again.',
  );
  expect(plainMessage(new SettingsError(['One.', 'Two.']))).toBe('One.\nTwo.');
  expect(plainMessage(new SecretStoreError('locked', 'Unlock it.'))).toBe('Unlock it.');
});

it.each([
  new Error('/home/me/secret'),
  'a text',
  undefined,
  { message: 'x' },
  new TypeError('x', { cause: 'y' }),
])('keeps %j to itself', (thrown) => {
  expect(plainMessage(thrown)).toBe('Something went wrong; look at the log.');
});
