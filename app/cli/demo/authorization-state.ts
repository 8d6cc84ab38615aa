import { generateKeyPairSync, randomBytes } from 'node:crypto';
import type { Adapter, AdapterPayload } from 'oidc-provider';

const GRANT_MODELS = ['Grant', 'AccessToken', 'RefreshToken', 'AuthorizationCode'];

/**
 * All that an authorization server remembers: clients, grants, tokens, browser sessions and its keys. It outlives the
 * server, so that closing a server and starting another one with the same state is an outage, not a loss.
 */
export class AuthorizationServerState {
  readonly #rows = new Map<string, AdapterPayload>();
  readonly #ordinals = new Map<string, number>();

  /** Signs the cookies of browser sessions. */
  readonly cookieKeys: readonly string[] = [randomBytes(32).toString('base64url')];
  /** Signs ID tokens. */
  readonly signingKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
    format: 'jwk',
  });

  /** How many access tokens were issued so far. */
  get issuedAccessTokens(): number {
    return this.#ordinals.size;
  }

  /** The position of an access token among all that were issued, from 1. */
  ordinalOf(accessTokenId: string): number | undefined {
    return this.#ordinals.get(accessTokenId);
  }

  /** Ends all grants with their codes and tokens. */
  revokeGrants(): void {
    this.#remove((model) => GRANT_MODELS.includes(model));
  }

  /** Forgets all clients that registered themselves. */
  forgetClients(): void {
    this.#remove((model) => model === 'Client');
  }

  /** The storage of one of oidc-provider's models. */
  adapter(model: string): Adapter {
    const rows = this.#rows;
    const key = (id: string) => `${model}:${id}`;
    const findWhere = async (property: 'uid' | 'userCode', value: string) => {
      for (const [name, row] of rows) {
        if (name.startsWith(key('')) && row[property] === value) return structuredClone(row);
      }
      return undefined;
    };
    return {
      upsert: async (id, payload) => {
        if (model === 'AccessToken' && !this.#ordinals.has(id))
          this.#ordinals.set(id, this.#ordinals.size + 1);
        // The payload may hold live model objects; what is stored must be data, as in a database.
        rows.set(key(id), JSON.parse(JSON.stringify(payload)));
      },
      find: async (id) => structuredClone(rows.get(key(id))),
      findByUid: (uid) => findWhere('uid', uid),
      findByUserCode: (userCode) => findWhere('userCode', userCode),
      consume: async (id) => {
        const row = rows.get(key(id));
        if (row) row.consumed = Math.floor(Date.now() / 1000);
      },
      destroy: async (id) => {
        rows.delete(key(id));
      },
      revokeByGrantId: async (grantId) => {
        this.#remove((owner, row) => owner === model && row.grantId === grantId);
      },
    };
  }

  #remove(matches: (model: string, row: AdapterPayload) => boolean): void {
    for (const [key, row] of this.#rows) {
      if (matches(key.slice(0, key.indexOf(':')), row)) this.#rows.delete(key);
    }
  }
}
