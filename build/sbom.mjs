// @ts-check
// The bill of materials of what people install (CycloneDX): npm knows what is in node_modules, the bundler what of it is
// in the product, and Electron is there in any case. `npm sbom --omit dev` alone would miss Electron and bundled
// development dependencies.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { npm, ROOT } from './process.mjs';

/**
 * The parts of a CycloneDX document that are used here.
 * @typedef {object} Bom
 * @property {{ component: { name: string, type: string, 'bom-ref': string } }} metadata
 * @property {{ 'bom-ref': string, scope?: string, properties?: object[] }[]} components
 * @property {{ ref: string, dependsOn?: string[] }[]} dependencies
 */

/**
 * @param {readonly string[]} folders of the bundled packages, relative to the project's
 * @returns {Promise<Bom>}
 * @throws {Error} when npm fails, or does not know a package
 */
export async function billOfMaterials(folders) {
  const { code, lines } = await npm(['sbom', '--sbom-format', 'cyclonedx', '--loglevel', 'error']);
  if (code !== 0) throw new Error(`npm sbom failed:\n${lines.join('\n')}`);
  const shipped = await Promise.all([...folders, 'node_modules/electron'].map(referenceOf));
  const product = await readManifest('.');
  return reduceBom(JSON.parse(lines.join('\n')), { product: product.name, shipped });
}

/**
 * @param {Bom} bom of everything that is installed
 * @param {object} what
 * @param {string} what.product npm calls it after the project's folder
 * @param {readonly string[]} what.shipped `name@version` of the packages that stay
 * @returns {Bom}
 */
export function reduceBom(bom, { product, shipped }) {
  const { component } = bom.metadata;
  const kept = new Set([component['bom-ref'], ...shipped]);
  const components = bom.components.filter((one) => kept.has(one['bom-ref']));
  const missing = shipped.filter((ref) => !components.some((one) => one['bom-ref'] === ref));
  if (missing.length > 0) throw new Error(`npm does not know ${missing.join(', ')}.`);
  return {
    ...bom,
    metadata: { ...bom.metadata, component: { ...component, type: 'application', name: product } },
    // npm marks some as of development, which they are in package.json: what is shipped is required.
    components: components.map((one) => ({ ...one, scope: 'required', properties: [] })),
    dependencies: bom.dependencies
      .filter(({ ref }) => kept.has(ref))
      .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter((other) => kept.has(other)) })),
  };
}

async function referenceOf(/** @type {string} */ folder) {
  const { name, version } = await readManifest(folder);
  return `${name}@${version}`;
}

/** @returns {Promise<{ name: string, version: string }>} */
async function readManifest(/** @type {string} */ folder) {
  return JSON.parse(await readFile(join(ROOT, folder, 'package.json'), 'utf8'));
}
