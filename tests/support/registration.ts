import type { AuthorizationServerMetadata } from '../../app/oauth/metadata.ts';
import type { RegistrationInput } from '../../app/oauth/registration.ts';
import { DEFAULT_CLIENT_ID } from '../../app/settings.ts';

/** What a test changes of a registration. */
export type RegistrationChange = Partial<Omit<RegistrationInput, 'settings' | 'server' | 'request'>> & {
  settings?: Partial<RegistrationInput['settings']>;
  server?: Partial<AuthorizationServerMetadata>;
};

/** A registration with no settings of its own, at a server that has all its endpoints on one origin. */
export function registrationAt(
  origin: string,
  request: RegistrationInput['request'],
  { settings, server, ...change }: RegistrationChange = {},
): RegistrationInput {
  return {
    redirectUri: 'http://127.0.0.1:5177/oauth/callback',
    scope: undefined,
    software: { version: '1.0.0', homepage: undefined },
    kept: undefined,
    request,
    ...change,
    settings: {
      clientId: DEFAULT_CLIENT_ID,
      clientSecret: undefined,
      clientMetadataUrl: undefined,
      autoRegisterClient: true,
      issuer: undefined,
      ...settings,
    },
    server: {
      issuer: origin,
      authorization_endpoint: `${origin}/authorize`,
      token_endpoint: `${origin}/token`,
      registration_endpoint: `${origin}/register`,
      ...server,
    },
  };
}
