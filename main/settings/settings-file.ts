import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from '../../app/log.ts';
import { SettingsError } from '../../app/settings.ts';
import { fileError } from '../../app/store/file-errors.ts';
import { createQueue } from '../../app/store/queue.ts';
import type { Cipher } from '../secrets/cipher.ts';
import type { AppSettings, Notice } from '../view.ts';
import {
  appSettingsOf,
  checkAppSettings,
  DEFAULT_APP_SETTINGS,
  EMPTY_DOCUMENT,
  entriesOf,
  type Members,
  mapEntries,
  SETTINGS_VERSION,
  type ServerEntry,
  type SettingsDocument,
  serializeDocument,
  withMembers,
} from './document.ts';
import { ServerSecrets, separate, withoutEmptySecrets } from './server-secrets.ts';
import { checkServer, clashes, type ServerDraft, type StoredServer, shownName } from './server-settings.ts';
import { readSettings, setAside, writeSettings } from './settings-disk.ts';

export type { ServerDraft, StoredServer } from './server-settings.ts';

export interface SettingsFileOptions {
  readonly cipher: Cipher;
  readonly log: Logger;
}

/** A change, to be made again on top of what somebody else has written since. */
type Change = (document: SettingsDocument) => SettingsDocument;

/** Which of the notices there can be; each stands once. */
type NoticeId = 'broken' | 'unreadable' | 'newer' | 'unsaved' | 'values' | 'secrets';
/** Those that are about a state and not about what was just done: they need not be said twice. */
const SAID_ONCE: readonly NoticeId[] = ['values', 'secrets'];

const FOR_THIS_RUN = 'What you change lasts until MCP Auth Proxy quits.';

/**
 * Opens the app's settings file. It never fails: what is wrong with the file is said by the notices, and the defaults
 * stand in. Servers whose secrets have to be opened say so, and `change` tells when that is done: a prompt of the system
 * keeps nobody waiting.
 * @param file absolute path of settings.json; its folder is made for this user alone at the first write
 */
export async function openSettingsFile(file: string, options: SettingsFileOptions): Promise<SettingsFile> {
  const settingsFile = new SettingsFile(file, options);
  await settingsFile.reread();
  return settingsFile;
}

/**
 * The app's settings and the servers it has, in a file that people may edit too, also while the app runs: every write
 * begins with a look at what is there, and changes are made on top of that. A change is in force at once; its promise
 * resolves when it is on the disk or, as a notice then says, cannot be. Emits `change` when anything may be different.
 */
export class SettingsFile extends EventEmitter<{ change: [] }> {
  readonly #path: string;
  readonly #log: Logger;
  readonly #secrets: ServerSecrets;
  /** One reading or writing at a time. */
  readonly #queue = createQueue();
  readonly #raised = new Map<NoticeId, Notice>();
  readonly #dismissed = new Set<string>();
  #document: SettingsDocument = EMPTY_DOCUMENT;
  /** The file's text as it was read or written last. */
  #text: string | undefined;
  /** What is in the document and not in the file. */
  #unsaved: readonly Change[] = [];
  #settings: AppSettings = DEFAULT_APP_SETTINGS;
  #servers: readonly StoredServer[] = [];
  #notices: readonly Notice[] = [];

  constructor(file: string, { cipher, log }: SettingsFileOptions) {
    super();
    this.#path = file;
    this.#log = log;
    this.#secrets = new ServerSecrets(cipher);
  }

  get settings(): AppSettings {
    return this.#settings;
  }

  /** In the order of the file. */
  get servers(): readonly StoredServer[] {
    return this.#servers;
  }

  /** What went wrong with the file and stands until it is mended or dismissed. */
  get notices(): readonly Notice[] {
    return this.#notices;
  }

  /**
   * Changes some of the app's settings.
   * @throws {SettingsError} with every fault found; nothing is changed then
   */
  async changeSettings(changes: Partial<AppSettings>): Promise<void> {
    const checked = checkAppSettings(changes);
    await this.#change((document) => withMembers(document, checked));
  }

  /**
   * Adds a server.
   * @returns the server as it is kept, once that is done
   * @throws {SettingsError} with every fault found; nothing is changed then
   */
  async addServer(draft: ServerDraft): Promise<StoredServer> {
    const id = this.#newId();
    const { plain, secrets } = separate(draft.settings);
    this.#check(withoutEmptySecrets(draft.settings), this.#servers);
    const entry = withMembers<ServerEntry>({ id }, { name: draft.name, ...plain });
    this.#secrets.enter(id, secrets);
    const saved = this.#change((document) => ({ ...document, servers: [...document.servers, entry] }));
    const added = this.#stored(entry);
    await saved;
    return added;
  }

  /**
   * Makes a server what the draft says. A server that somebody has taken out of the file meanwhile comes back.
   * @throws {SettingsError} with every fault found, or for a server that there is not; nothing is changed then
   */
  async changeServer(id: string, draft: ServerDraft): Promise<void> {
    const server = this.#servers.find((one) => one.id === id);
    if (!server) throw new SettingsError(['This server is not there any more; add it again.']);
    const { plain, secrets } = separate(draft.settings);
    const kept = separate(server.settings);
    this.#check(
      withoutEmptySecrets({ ...kept.secrets, ...draft.settings }),
      this.#servers.filter((one) => one !== server),
    );
    const changes = differences({ name: server.name, ...kept.plain }, { name: draft.name, ...plain });
    const whole = entriesOf(this.#document).find((entry) => entry.id === id);
    this.#secrets.enter(id, secrets);
    await this.#change((document) => {
      if (whole && !entriesOf(document).some((entry) => entry.id === id)) {
        return { ...document, servers: [...document.servers, withMembers(whole, changes)] };
      }
      return mapEntries(document, (entry) => (entry.id === id ? withMembers(entry, changes) : entry));
    });
  }

  /** Takes a server out of the file; its login is another's to end. */
  async removeServer(id: string): Promise<void> {
    this.#secrets.forget(id);
    await this.#change((document) => mapEntries(document, (entry) => (entry.id === id ? undefined : entry)));
  }

  /**
   * Takes over what somebody has written into the file, and tries again what has failed: to write a change, and then, on
   * its own, to open secrets.
   * @param options.again `false`: what has failed is left alone, for which the system might ask the person each time
   */
  async reread({ again = true } = {}): Promise<void> {
    await this.#queue(async () => {
      await this.#catchUp({ again });
      if (again || !this.#raised.has('unsaved')) await this.#save();
    });
    this.#update();
  }

  /** Takes a notice away. One about what was tried in vain comes back when that fails again. */
  dismiss(noticeId: string): void {
    for (const [id, { id: shown, message }] of this.#raised) {
      if (shown !== noticeId) continue;
      this.#raised.delete(id);
      if (SAID_ONCE.includes(id)) this.#dismissed.add(message);
    }
    this.#update();
  }

  #check(settings: Members, others: readonly StoredServer[]): void {
    const checked = checkServer(settings, path.dirname(this.#path));
    const faults = 'faults' in checked ? checked.faults : clashes(settings, others);
    if (faults.size > 0) throw new SettingsError([...faults.values()]);
  }

  async #change(change: Change): Promise<void> {
    this.#document = change(this.#document);
    this.#unsaved = [...this.#unsaved, change];
    this.#update();
    await this.#queue(() => this.#save());
    this.#update();
  }

  async #save(): Promise<void> {
    // The write of an earlier change has taken this one along.
    if (this.#unsaved.length === 0 || !(await this.#catchUp())) return;
    const saved = this.#unsaved;
    const document = await this.#seal(this.#document);
    const text = serializeDocument(document);
    try {
      await writeSettings(this.#path, text);
    } catch (error) {
      const { message } = fileError(this.#path, error);
      this.#raise('unsaved', `The settings could not be saved. ${FOR_THIS_RUN}`, message);
      return;
    }
    this.#raised.delete('unsaved');
    for (const entry of entriesOf(document)) this.#secrets.written(entry);
    this.#text = text;
    this.#unsaved = this.#unsaved.slice(saved.length);
    this.#document = this.#unsaved.reduce((base, change) => change(base), document);
    this.#judgeValues(document);
  }

  /**
   * Looks at the file, takes over what is new in it, and makes the unsaved changes on top of that.
   * @param options.again whether secrets that could not be opened are tried again
   * @returns whether the file may be written
   */
  async #catchUp({ again = false } = {}): Promise<boolean> {
    const found = await readSettings(this.#path);
    if (found.kind === 'unreadable') {
      const { message } = fileError(this.#path, found.error);
      this.#raise('unreadable', `The settings could not be read. ${FOR_THIS_RUN}`, message);
      return false;
    }
    if (found.kind === 'broken') return this.#setAside(found.fault);
    this.#raised.delete('unreadable');
    if (found.kind === 'missing') {
      this.#text = undefined;
      return true;
    }
    if (found.text !== this.#text) {
      this.#text = found.text;
      this.#document = this.#unsaved.reduce((base, change) => change(base), found.document);
    }
    void this.#secrets.open(entriesOf(this.#document), { again }).then(() => this.#update());
    return this.#judge(found.document);
  }

  async #setAside(fault: string): Promise<boolean> {
    const wrong = `${this.#path} is no settings file: ${fault}.`;
    try {
      const aside = await setAside(this.#path, new Date());
      this.#text = undefined;
      this.#raised.delete('unreadable');
      const isFirst = this.#document === EMPTY_DOCUMENT;
      // What is in force is in no file now.
      if (!isFirst) this.#unsaved = [...this.#unsaved, (document) => document];
      this.#raise(
        'broken',
        `${wrong} It was moved to ${aside}; ${isFirst ? 'the defaults are in force' : 'the settings stay as they were'}.`,
        `To have it back, correct it, quit MCP Auth Proxy, and move it to ${this.#path}.`,
      );
      return true;
    } catch (error) {
      const { message } = fileError(this.#path, error);
      this.#raise('unreadable', `${wrong} It could not be moved away. ${FOR_THIS_RUN}`, message);
      return false;
    }
  }

  /**
   * Says what cannot be used of a file that could be read.
   * @returns whether the file may be written
   */
  #judge(document: SettingsDocument): boolean {
    this.#judgeValues(document);
    if (document.version <= SETTINGS_VERSION) {
      this.#raised.delete('newer');
      return true;
    }
    this.#raise(
      'newer',
      `${this.#path} was written by a newer version of MCP Auth Proxy, and is left as it is. ${FOR_THIS_RUN}`,
      'Update MCP Auth Proxy, or move the file away.',
    );
    return false;
  }

  #judgeValues(document: SettingsDocument): void {
    const { faults } = appSettingsOf(document);
    if (entriesOf(document).length < document.servers.length) {
      faults.push('What is not an object in "servers" is no server.');
    }
    if (faults.length === 0) this.#raised.delete('values');
    else this.#raise('values', faults.join(' '), `Correct ${this.#path}; until then the defaults stand in.`);
  }

  async #seal(document: SettingsDocument): Promise<SettingsDocument> {
    const outcomes = await Promise.all(entriesOf(document).map((entry) => this.#secrets.seal(entry)));
    const sealed = new Map(outcomes.map(({ entry }) => [entry.id, entry]));
    const failed = outcomes.find(({ unsealed }) => Object.keys(unsealed).length > 0);
    if (!failed) this.#raised.delete('secrets');
    else {
      const [reason = ''] = Object.values(failed.unsealed);
      const name = shownName(this.#stored(failed.entry));
      this.#raise(
        'secrets',
        `A secret of ${name} could not be stored, and lasts until MCP Auth Proxy quits. ${reason}`,
        'Enter it again after the next start.',
      );
    }
    return mapEntries(document, (entry) => sealed.get(entry.id));
  }

  #update(): void {
    const { settings } = appSettingsOf(this.#document);
    const servers = entriesOf(this.#document).map((entry) => this.#stored(entry));
    const notices = [...this.#raised.values()];
    const now = [settings, servers, notices];
    if (isDeepStrictEqual(now, [this.#settings, this.#servers, this.#notices])) return;
    this.#settings = settings;
    this.#servers = servers;
    this.#notices = notices;
    this.emit('change');
  }

  #stored(entry: ServerEntry): StoredServer {
    const { id, name, ...settings } = entry;
    const { secrets, unreadable, isOpening } = this.#secrets.of(entry);
    return {
      id,
      name: typeof name === 'string' && name.trim() !== '' ? name.trim() : undefined,
      settings: { ...separate(settings).plain, ...secrets },
      unreadable,
      isOpening,
    };
  }

  #newId(): string {
    const taken = new Set(this.#servers.map(({ id }) => id));
    for (;;) {
      const id = randomBytes(4).toString('hex');
      if (!taken.has(id)) return id;
    }
  }

  #raise(id: NoticeId, message: string, cure: string): void {
    const former = this.#raised.get(id);
    if ((former?.message === message && former.cure === cure) || this.#dismissed.has(message)) return;
    this.#raised.set(id, { id: `settings-${id}`, message, cure });
    this.#log.warn(message, { cure });
  }
}

/** The members that differ, with the value they are to have. */
function differences(from: Members, to: Members): Members {
  const names = [...new Set([...Object.keys(from), ...Object.keys(to)])];
  const changed = names.filter((name) => !isDeepStrictEqual(from[name], to[name]));
  return Object.fromEntries(changed.map((name) => [name, to[name]]));
}
