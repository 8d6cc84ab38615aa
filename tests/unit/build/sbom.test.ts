import { describe, expect, it } from 'vitest';
import { billOfMaterials, reduceBom } from '../../../build/sbom.mjs';
import manifest from '../../../package.json' with { type: 'json' };

const component = (ref: string) => ({
  'bom-ref': ref,
  scope: 'optional',
  properties: [{ name: 'development' }],
});
const BOM = {
  bomFormat: 'CycloneDX',
  metadata: { component: { 'bom-ref': 'product@1.0.0', name: 'a-folder', type: 'library' } },
  components: ['a@1.0.0', 'b@1.0.0', 'b@2.0.0', 'electron@3.0.0'].map(component),
  dependencies: [
    { ref: 'product@1.0.0', dependsOn: ['a@1.0.0', 'b@2.0.0', 'electron@3.0.0'] },
    { ref: 'a@1.0.0', dependsOn: ['b@1.0.0'] },
    { ref: 'b@2.0.0' },
  ],
};

describe('reduceBom', () => {
  const reduce = (...shipped: string[]) => reduceBom(BOM, { product: 'product', shipped });

  it('keeps what is shipped, as required, with its dependencies among each other', () => {
    expect(reduce('a@1.0.0', 'b@1.0.0', 'electron@3.0.0')).toEqual({
      bomFormat: 'CycloneDX',
      metadata: { component: { 'bom-ref': 'product@1.0.0', name: 'product', type: 'application' } },
      components: ['a@1.0.0', 'b@1.0.0', 'electron@3.0.0'].map((ref) => ({
        'bom-ref': ref,
        scope: 'required',
        properties: [],
      })),
      dependencies: [
        { ref: 'product@1.0.0', dependsOn: ['a@1.0.0', 'electron@3.0.0'] },
        { ref: 'a@1.0.0', dependsOn: ['b@1.0.0'] },
      ],
    });
  });

  it('fails when it cannot be whole', () => {
    expect(() => reduce('a@1.0.0', 'c@1.0.0')).toThrow('npm does not know c@1.0.0.');
  });
});

describe('billOfMaterials', () => {
  it('has what is bundled, by its version, and Electron', async () => {
    const { metadata, components } = await billOfMaterials(['node_modules/undici', 'node_modules/preact']);
    expect(metadata.component).toMatchObject({ name: manifest.name, type: 'application' });
    const refs = components.map((one) => one['bom-ref'].replace(/@[\d.]+$/, '')).sort();
    expect(refs).toEqual(['electron', 'preact', 'undici']);
  });
});
