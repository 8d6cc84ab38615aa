import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { AppModel } from '../../../main/app-model.ts';
import { DEFAULT_APP_SETTINGS } from '../../../main/settings/document.ts';
import type { Notice, ServerView } from '../../../main/view.ts';
import { serverView as server } from './tray/views.ts';

/** Sources as simple as can be; each emits what it is told to. */
function givenSources() {
  const settings = Object.assign(new EventEmitter<{ change: [] }>(), {
    settings: DEFAULT_APP_SETTINGS,
    notices: [{ id: 'broken', message: 'The file is broken.', cure: undefined }] as Notice[],
    dismissed: [] as string[],
    dismiss: (id: string) => void settings.dismissed.push(id),
  });
  const servers = Object.assign(new EventEmitter<{ change: [] }>(), { views: [] as ServerView[] });
  const logins = Object.assign(new EventEmitter<{ change: [] }>(), {
    underWay: (id: string) => id === 'preparing',
  });
  const connectivity = Object.assign(new EventEmitter<{ change: [] }>(), { online: true });
  const updates = Object.assign(new EventEmitter<{ change: [] }>(), { canLook: true, available: '2.0.0' });
  return { settings, servers, logins, connectivity, updates };
}

/** Everything that a turn of the event loop leads to. */
const turn = () => new Promise(setImmediate);

describe('what the tray and the window show', () => {
  it('is told once for all that changes together', async () => {
    const sources = givenSources();
    const model = new AppModel(sources);
    let changes = 0;
    model.on('change', () => changes++);
    for (const source of Object.values(sources)) source.emit('change');
    model.setStartAtLogin(true);
    await turn();
    expect(changes).toBe(1);
    expect(model.view.startAtLogin).toBe(true);
  });

  it('has a login under way from its first moment on', () => {
    const sources = givenSources();
    sources.servers.views = [
      server({ id: 'preparing', state: 'logged_out' }),
      server({ id: 'other', state: 'logged_out' }),
    ];
    expect(new AppModel(sources).view.servers.map(({ state }) => state)).toEqual([
      'logging_in',
      'logged_out',
    ]);
  });

  it('has notices until they are dismissed or not so any more', () => {
    const sources = givenSources();
    const model = new AppModel(sources);
    const said = () => model.view.notices.map(({ message }) => message);
    model.notify({ id: 'one', message: 'First.', cure: undefined });
    model.notify({ id: 'two', message: 'Second.', cure: undefined });
    model.notify({ id: 'one', message: 'Not the first any more.', cure: undefined });
    expect(said()).toEqual(['The file is broken.', 'Not the first any more.', 'Second.']);
    model.dismiss('one');
    model.retract('two');
    expect(said()).toEqual(['The file is broken.']);
    model.dismiss('broken');
    expect(sources.settings.dismissed).toEqual(['broken']);
  });

  it('has the new version that there is, and nothing else of where that comes from', () => {
    expect(new AppModel(givenSources()).view.updates).toEqual({ canLook: true, available: '2.0.0' });
  });

  it('has the log level of the environment, where that says one', () => {
    const { settings, logLevelFixed } = new AppModel(givenSources(), 'debug').view;
    expect([settings.logLevel, logLevelFixed]).toEqual(['debug', true]);
    expect(new AppModel(givenSources()).view).toMatchObject({
      settings: DEFAULT_APP_SETTINGS,
      logLevelFixed: false,
    });
  });
});
