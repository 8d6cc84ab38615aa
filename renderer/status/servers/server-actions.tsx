import type { LoginWay, ServerView } from '../../../main/view.ts';
import { texts } from '../../texts.ts';
import { useUi } from '../ui.ts';

interface ServerActionsProps {
  readonly server: ServerView;
  readonly preferredWay: LoginWay;
  onEdit(): void;
  onRemove(): void;
}

/** The buttons of a server: those that make sense in its state. */
export function ServerActions({ server, preferredWay, onEdit, onRemove }: ServerActionsProps) {
  const { ask, fail } = useUi();
  const { id, name, state, fault } = server;
  const editable = server.source === 'settings';
  const otherWay = preferredWay === 'popup' ? 'browser' : 'popup';
  // Somebody who is logged in may still have to log in again, e.g. for more scopes.
  const wantsMore = server.reason !== undefined || server.lastError !== undefined;
  const logIn = state === 'authenticated' && wantsMore ? texts.servers.logInAgain : LOGIN_TITLES[state];
  const freePort = fault?.kind === 'port_taken' && editable ? fault.freePort : undefined;
  const mayRestart = state === 'failed' || state === 'error';
  const mayLogOut = state === 'authenticated' || state === 'error';

  async function movePort(port: number) {
    const outcome = await ask('server:move-port', { id, port });
    if (outcome?.value.ok === false) fail(Object.values(outcome.value.faults).join(' '));
  }

  if (!editable && logIn === undefined && !mayRestart && !mayLogOut) return null;
  return (
    <div class="actions">
      {freePort !== undefined && (
        <Action
          title={texts.servers.usePort(freePort)}
          name={name}
          primary
          onClick={() => movePort(freePort)}
        />
      )}
      {mayRestart && (
        <Action
          title={texts.servers.tryAgain}
          name={name}
          primary={freePort === undefined}
          onClick={() => ask('server:restart', { id })}
        />
      )}
      {logIn !== undefined && (
        <>
          <Action
            title={logIn}
            name={name}
            primary={!mayRestart}
            onClick={() => ask('server:log-in', { id, way: 'preferred' })}
          />
          <Action
            title={texts.servers.logInOther[preferredWay]}
            name={name}
            onClick={() => ask('server:log-in', { id, way: otherWay })}
          />
        </>
      )}
      {state === 'logging_in' && (
        <Action
          title={texts.servers.cancelLogin}
          name={name}
          onClick={() => ask('server:cancel-login', { id })}
        />
      )}
      {mayLogOut && (
        <Action title={texts.servers.logOut} name={name} onClick={() => ask('server:log-out', { id })} />
      )}
      {editable && (
        <span class="actions-end">
          <Action title={texts.servers.edit} name={name} quiet onClick={onEdit} />
          <Action title={texts.servers.remove} name={name} quiet onClick={onRemove} />
        </span>
      )}
    </div>
  );
}

const LOGIN_TITLES: Readonly<Partial<Record<ServerView['state'], string>>> = {
  logged_out: texts.servers.logIn,
  login_required: texts.servers.logIn,
  logging_in: texts.servers.goOnLoggingIn,
  error: texts.servers.logInAgain,
};

interface ActionProps {
  readonly title: string;
  /** Name of the server, for those who hear the button alone. */
  readonly name: string;
  readonly primary?: boolean;
  readonly quiet?: boolean;
  onClick(): unknown;
}

function Action({ title, name, primary = false, quiet = false, onClick }: ActionProps) {
  const look = primary ? 'button primary' : quiet ? 'button quiet' : 'button';
  return (
    <button
      type="button"
      class={look}
      aria-label={texts.servers.of(title, name)}
      onClick={() => void onClick()}
    >
      {title}
    </button>
  );
}
