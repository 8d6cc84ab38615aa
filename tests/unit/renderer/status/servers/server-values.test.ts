import { describe, expect, it } from 'vitest';
import { EMPTY_VALUES, inputOf, valuesOf } from '../../../../../renderer/status/servers/server-values.ts';
import { form } from '../../views.ts';

const url = 'https://mcp.example.com/mcp';

describe('the client secret', () => {
  it('that is stored is kept while nothing is typed', () => {
    expect(inputOf(valuesOf(form), url, true).clientSecret).toBe('keep');
  });

  it('that is typed replaces the stored one', () => {
    const values = { ...valuesOf(form), clientSecret: 'new' };
    expect(inputOf(values, url, true).clientSecret).toEqual({ value: 'new' });
  });

  it('is removed when that is asked for', () => {
    const values = { ...valuesOf(form), removeClientSecret: true };
    expect(inputOf(values, url, true).clientSecret).toEqual({ value: '' });
  });

  it('is none when there was none', () => {
    expect(inputOf(EMPTY_VALUES, url, false).clientSecret).toEqual({ value: '' });
  });
});

it('sends all fields of the form, and nothing of its own', () => {
  expect(inputOf(valuesOf(form), url, true)).toEqual({
    name: 'Craft',
    upstreamMcpUrl: url,
    port: '5177',
    scopes: '',
    profile: '',
    clientId: 'my-client',
    clientSecret: 'keep',
    authorizationEndpoint: '',
    tokenEndpoint: '',
    issuer: '',
    probePath: '',
  });
});
