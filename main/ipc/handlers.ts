import type { UpstreamReport } from '../../app/inspect.ts';
import type { AppLog } from '../app-log.ts';
import type { AppModel } from '../app-model.ts';
import type { Commands } from '../commands.ts';
import type { LoginBar, LoginPopups } from '../login/popup.ts';
import type { Servers } from '../servers/servers.ts';
import type { Handlers } from './registrar.ts';

interface HandlerParts {
  readonly commands: Commands;
  readonly model: AppModel;
  readonly servers: Pick<Servers, 'recentCalls'>;
  readonly log: AppLog;
  readonly popups: Pick<LoginPopups, 'barOf'>;
  readonly inspect: (url: string) => Promise<UpstreamReport>;
  readonly openLog: () => void;
  readonly setStartAtLogin: (on: boolean) => Promise<void>;
  readonly openNewVersion: () => Promise<void>;
  readonly reset: () => void;
}

/** What answers each request of the pages. */
export function createHandlers(parts: HandlerParts): Handlers {
  const { commands, model, servers, log, popups, inspect, openLog } = parts;

  function barOf(sender: { readonly id: number }): LoginBar {
    const bar = popups.barOf(sender);
    if (!bar) throw new Error('A bar without its login window has asked.');
    return bar;
  }

  return {
    'app:view': () => model.view,
    'app:change-settings': (changes) => commands.changeSettings(changes),
    'app:start-at-login': (on) => done(parts.setStartAtLogin(on)),
    'app:dismiss-notice': ({ id }) => done(model.dismiss(id)),
    'app:open-new-version': () => done(parts.openNewVersion()),
    'app:reset': () => done(parts.reset()),
    'calls:recent': () => servers.recentCalls,
    'log:recent': () => log.recent,
    'log:open': () => done(openLog()),
    'server:check': ({ url }) => inspect(url),
    'server:form': ({ id }) => commands.formOf(id),
    'server:add': (input) => commands.addServer(input),
    'server:change': ({ id, input }) => commands.changeServer(id, input),
    'server:move-port': ({ id, port }) => commands.movePort(id, port),
    'server:remove': ({ id }) => done(commands.removeServer(id)),
    'server:restart': ({ id }) => done(commands.restart(id)),
    'server:log-in': ({ id, way }) => done(commands.logIn(id, way)),
    'server:cancel-login': ({ id }) => done(commands.cancelLogin(id)),
    'server:log-out': ({ id }) => done(commands.logOut(id)),
    'server:copy-url': ({ id }) => done(commands.copyMcpUrl(id)),
    'server:copy-for-client': ({ id, client }) => commands.copyForClient(id, client),
    'login:view': (_request, sender) => barOf(sender).view,
    'login:use-browser': (_request, sender) => done(barOf(sender).useBrowser()),
    'login:try-again': (_request, sender) => done(barOf(sender).tryAgain()),
  };
}

/** The page hears that it is done, and nothing of what came of it. */
async function done(work: unknown): Promise<undefined> {
  await work;
}
