import { useId } from 'preact/hooks';
import type { AppSettings, AppView, LoginWay } from '../../../main/view.ts';
import { texts } from '../../texts.ts';
import { Fault } from '../parts/field.tsx';
import { LoginWait } from './login-wait.tsx';
import { ResetSetting } from './reset-setting.tsx';
import { StartAtLogin } from './start-at-login.tsx';
import { Switch } from './switch.tsx';
import { useSetting } from './use-setting.ts';

/** The settings of the whole app, each applied at once. */
export function SettingsView({ view }: { view: AppView }) {
  const { settings } = view;
  const onDemand = useSetting(settings, 'loginOnDemand');
  const newVersions = useSetting(settings, 'lookForNewVersions');
  const loggingIn = useId();
  const app = useId();
  const reset = useId();
  return (
    <>
      <div class="toolbar">
        <h2>{texts.settings.title}</h2>
        <p class="quiet">{texts.app.version(view.version)}</p>
      </div>
      <section class="settings" aria-labelledby={loggingIn}>
        <h3 id={loggingIn}>{texts.settings.loggingIn}</h3>
        <div class="card">
          <LoginWayChoice settings={settings} />
          <Switch
            label={texts.settings.loginOnDemand}
            hint={texts.settings.loginOnDemandHint}
            on={onDemand.value}
            fault={onDemand.fault}
            onChange={onDemand.change}
          />
          <LoginWait settings={settings} />
        </div>
      </section>
      <section class="settings" aria-labelledby={app}>
        <h3 id={app}>{texts.settings.app}</h3>
        <div class="card">
          <StartAtLogin on={view.startAtLogin} />
          <Switch
            label={texts.settings.lookForNewVersions}
            hint={
              view.updates.canLook
                ? texts.settings.lookForNewVersionsHint
                : texts.settings.lookForNewVersionsUnavailable
            }
            on={view.updates.canLook && newVersions.value}
            disabled={!view.updates.canLook}
            fault={newVersions.fault}
            onChange={newVersions.change}
          />
          <LogLevelChoice settings={settings} fixed={view.logLevelFixed} />
        </div>
      </section>
      <section class="settings apart" aria-labelledby={reset}>
        <h3 id={reset}>{texts.reset.title}</h3>
        <div class="card">
          <ResetSetting servers={view.servers} />
        </div>
      </section>
    </>
  );
}

const WAYS: readonly LoginWay[] = ['popup', 'browser'];

function LoginWayChoice({ settings }: { settings: AppSettings }) {
  const { value, fault, change } = useSetting(settings, 'loginWay');
  const id = useId();
  return (
    <fieldset class="choice" aria-describedby={fault && `${id}-fault`}>
      <legend>{texts.settings.loginWay}</legend>
      {WAYS.map((way) => {
        const [title, hint] = texts.settings.loginWays[way];
        return (
          <div class="option" key={way}>
            <input
              type="radio"
              name={id}
              id={`${id}-${way}`}
              checked={way === value}
              aria-describedby={`${id}-${way}-hint`}
              onChange={() => change(way)}
            />
            <div>
              <label for={`${id}-${way}`}>{title}</label>
              <p class="hint" id={`${id}-${way}-hint`}>
                {hint}
              </p>
            </div>
          </div>
        );
      })}
      {fault !== undefined && <Fault id={`${id}-fault`} text={fault} />}
    </fieldset>
  );
}

const LEVELS: readonly AppSettings['logLevel'][] = ['error', 'warn', 'info', 'debug'];

function LogLevelChoice({ settings, fixed }: { settings: AppSettings; fixed: boolean }) {
  const { value, fault, change } = useSetting(settings, 'logLevel');
  const id = useId();
  return (
    <div class="setting">
      <div>
        <label for={id}>{texts.settings.logLevel}</label>
        <p class="hint" id={`${id}-hint`}>
          {fixed ? texts.settings.logLevelFixed : texts.settings.logLevelHint}
        </p>
        {fault !== undefined && <Fault id={`${id}-fault`} text={fault} />}
      </div>
      <select
        id={id}
        value={value}
        disabled={fixed}
        aria-describedby={`${id}-hint${fault === undefined ? '' : ` ${id}-fault`}`}
        onChange={({ currentTarget }) => {
          const level = LEVELS.find((one) => one === currentTarget.value);
          if (level !== undefined) change(level);
        }}
      >
        {LEVELS.map((level) => (
          <option key={level} value={level}>
            {texts.settings.logLevels[level]}
          </option>
        ))}
      </select>
    </div>
  );
}
