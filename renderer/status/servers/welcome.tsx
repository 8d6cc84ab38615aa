import { Mark } from '../../icons.tsx';
import { texts } from '../../texts.ts';
import { ServerFormView } from './server-form.tsx';
import { EMPTY_VALUES } from './server-values.ts';
import type { AddServer } from './use-add-server.ts';

/** The first thing a person sees: one field. */
export function Welcome({ add }: { add: AddServer }) {
  return (
    <section class="welcome">
      <div class="seal">
        <Mark />
      </div>
      <h2>{texts.welcome.title}</h2>
      <p class="lead">{texts.welcome.lead}</p>
      <ServerFormView
        mode="add"
        initial={EMPTY_VALUES}
        clientSecretPresent={false}
        submit={add}
        onDone={() => undefined}
      />
    </section>
  );
}
