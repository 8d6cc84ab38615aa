import type { ServerForm, ServerInput } from '../../../main/ipc/contract.ts';

/** What stands in the form. The URL is as typed; an empty secret keeps what is stored, unless it is to be removed. */
export type ServerValues = Readonly<Record<Exclude<keyof ServerInput, 'clientSecret'>, string>> & {
  readonly clientSecret: string;
  readonly removeClientSecret: boolean;
};

export type Faults = Readonly<Partial<Record<keyof ServerInput | '', string>>>;

export const EMPTY_VALUES: ServerValues = {
  name: '',
  upstreamMcpUrl: '',
  port: '',
  scopes: '',
  profile: '',
  clientId: '',
  clientSecret: '',
  removeClientSecret: false,
  authorizationEndpoint: '',
  tokenEndpoint: '',
  issuer: '',
  probePath: '',
};

/** The fields behind "More options", in the order they are shown. */
export const MORE_FIELDS = [
  'name',
  'port',
  'scopes',
  'profile',
  'clientId',
  'clientSecret',
  'authorizationEndpoint',
  'tokenEndpoint',
  'issuer',
  'probePath',
] as const satisfies ReadonlyArray<keyof ServerInput>;

export function valuesOf({ clientSecretPresent: _, ...form }: ServerForm): ServerValues {
  return { ...EMPTY_VALUES, ...form };
}

/**
 * What is sent to the main process.
 * @param url the complete URL
 * @param secretPresent whether a client secret is stored
 */
export function inputOf(values: ServerValues, url: string, secretPresent: boolean): ServerInput {
  const { clientSecret, removeClientSecret, ...others } = values;
  const keep = secretPresent && clientSecret === '' && !removeClientSecret;
  return {
    ...others,
    upstreamMcpUrl: url,
    clientSecret: keep ? 'keep' : { value: clientSecret },
  };
}
