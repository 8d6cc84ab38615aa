import type { SecretStore } from './secret-store.ts';

/** A store that ends with the process: every start begins logged out. */
export function createMemoryStore(): SecretStore {
  const items = new Map<string, string>();
  return {
    kind: 'memory',
    description: 'memory (until the program ends)',
    lockFolder: undefined,
    get: async (account) => items.get(account),
    set: async (account, value) => {
      items.set(account, value);
    },
    delete: async (account) => {
      items.delete(account);
    },
  };
}
