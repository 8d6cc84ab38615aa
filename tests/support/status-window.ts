import { watch } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Locator, Page } from 'playwright';
import { givenFolder } from './broker.ts';
import { observeChanges } from './changes.ts';
import type { RunningApp } from './electron.ts';
import type { TrayHost } from './tray-host.ts';

/** A server as it stands in settings.json. */
export type ServerInFile = Readonly<Record<string, unknown>> & { readonly id: string };

/** What a settings.json holds. */
export interface SettingsInFile {
  readonly servers: readonly ServerInFile[];
  readonly [setting: string]: unknown;
}

/** Path of an app's settings file. */
export function settingsFile(stateDir: string): string {
  return path.join(stateDir, 'settings.json');
}

/** Writes settings.json as a person's editor does. */
export async function writeSettings(stateDir: string, settings: SettingsInFile): Promise<void> {
  await writeFile(settingsFile(stateDir), JSON.stringify({ version: 1, ...settings }, undefined, 2));
}

/** A folder for an app that has these servers and settings from the start. */
export async function folderWith(settings: Partial<SettingsInFile>): Promise<string> {
  const folder = await givenFolder();
  await writeSettings(folder, { servers: [], ...settings });
  return folder;
}

/** The first contents of settings.json, now or later, that are as wanted. */
export async function settingsUntil(
  stateDir: string,
  wanted: (settings: SettingsInFile) => boolean,
): Promise<SettingsInFile> {
  const changes = observeChanges();
  const watcher = watch(stateDir, changes.announce);
  try {
    return await changes.until('settings.json', () => readSettings(stateDir), wanted);
  } finally {
    watcher.close();
  }
}

/** The first contents of a file of the app's folder, now or later, that match. */
export async function fileUntil(file: string, wanted: RegExp): Promise<string> {
  const changes = observeChanges();
  const watcher = watch(path.dirname(file), changes.announce);
  try {
    return await changes.until(
      path.basename(file),
      () => readFile(file, 'utf8').catch(() => ''),
      (text) => wanted.test(text),
    );
  } finally {
    watcher.close();
  }
}

/** The first names in a folder, now or later, that are as wanted. */
export async function folderUntil(
  folder: string,
  wanted: (names: readonly string[]) => boolean,
): Promise<readonly string[]> {
  const changes = observeChanges();
  const watcher = watch(folder, changes.announce);
  try {
    return await changes.until(path.basename(folder), () => readdir(folder), wanted);
  } finally {
    watcher.close();
  }
}

/** Opens the status window from the menu, or brings it to the front. */
export async function openStatusWindow(running: RunningApp, tray: TrayHost): Promise<Page> {
  await tray.click('Open MCP Auth Proxy');
  return running.statusWindow();
}

/** What the window shows of one server. */
export function card(window: Page, name: string): Locator {
  return window.getByRole('article', { name, exact: true });
}

/** Shows another part of the window. */
export async function show(
  window: Page,
  view: 'Servers' | 'Activity' | 'Settings' | 'Log',
): Promise<Locator> {
  await window.getByRole('tab', { name: view }).click();
  return window.getByRole('tabpanel', { name: view });
}

async function readSettings(stateDir: string): Promise<SettingsInFile> {
  return JSON.parse(await readFile(settingsFile(stateDir), 'utf8'));
}
