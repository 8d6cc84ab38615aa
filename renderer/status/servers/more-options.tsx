import { useId } from 'preact/hooks';
import { texts } from '../../texts.ts';
import { Field, type InputAttributes } from '../parts/field.tsx';
import type { Faults, ServerValues } from './server-values.ts';

interface MoreOptionsProps {
  readonly values: ServerValues;
  readonly faults: Faults;
  readonly clientSecretPresent: boolean;
  onChange(change: Partial<ServerValues>): void;
}

/** Everything of a server that most people never need. */
export function MoreOptions({ values, faults, clientSecretPresent, onChange }: MoreOptionsProps) {
  const removeId = useId();
  const endpointsId = useId();

  function field(
    name: Exclude<keyof ServerValues, 'upstreamMcpUrl' | 'removeClientSecret'>,
    label: string,
    hint?: string,
    input?: InputAttributes,
  ) {
    return (
      <Field
        label={label}
        hint={hint}
        value={values[name]}
        fault={faults[name]}
        onInput={(value) => onChange({ [name]: value })}
        secret={name === 'clientSecret'}
        input={{ name, ...input }}
      />
    );
  }

  return (
    <div class="fields">
      <div class="fields-pair">
        {field('name', texts.form.name, texts.form.nameHint)}
        {field('port', texts.form.port, texts.form.portHint, { inputMode: 'numeric' })}
      </div>
      <div class="fields-pair">
        {field('scopes', texts.form.scopes, texts.form.scopesHint)}
        {field('profile', texts.form.profile, texts.form.profileHint)}
      </div>
      <div class="fields-pair">
        {field('clientId', texts.form.clientId, texts.form.clientIdHint)}
        <div>
          {field(
            'clientSecret',
            texts.form.clientSecret,
            clientSecretPresent ? texts.form.clientSecretStored : texts.form.clientSecretHint,
            { disabled: values.removeClientSecret },
          )}
          {clientSecretPresent && (
            <div class="check">
              <input
                type="checkbox"
                id={removeId}
                checked={values.removeClientSecret}
                onChange={(event) =>
                  onChange({ removeClientSecret: event.currentTarget.checked, clientSecret: '' })
                }
              />
              <label for={removeId}>{texts.form.clientSecretRemove}</label>
            </div>
          )}
        </div>
      </div>
      <fieldset class="fields" aria-describedby={endpointsId}>
        <legend>{texts.form.endpoints}</legend>
        <p class="hint" id={endpointsId}>
          {texts.form.endpointsHint}
        </p>
        {field('authorizationEndpoint', texts.form.authorizationEndpoint, undefined, { inputMode: 'url' })}
        {field('tokenEndpoint', texts.form.tokenEndpoint, undefined, { inputMode: 'url' })}
        <div class="fields-pair">
          {field('issuer', texts.form.issuer, undefined, { inputMode: 'url' })}
          {field('probePath', texts.form.probePath, texts.form.probePathHint)}
        </div>
      </fieldset>
    </div>
  );
}
