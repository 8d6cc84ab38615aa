import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Provider } from 'oidc-provider';
import { SIGN_IN_FORM, sendSignInPage } from './sign-in-page.ts';

type Interaction = Awaited<ReturnType<Provider['interactionDetails']>>;

/**
 * Shows what is asked for.
 * @throws oidc-provider's `SessionNotFound` when the browser holds no such interaction.
 */
export async function askToSignIn(
  provider: Provider,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const interaction = await provider.interactionDetails(request, response);
  const clientId = parameter(interaction, 'client_id')[0] ?? '';
  const client = await provider.Client.find(clientId);
  sendSignInPage(response, {
    clientName: client?.clientName ?? clientId,
    resources: parameter(interaction, 'resource'),
    scopes: requestedScopes(interaction),
    user: interaction.session?.accountId,
  });
}

/**
 * Takes the person's answer: sign-in and consent in one, or a refusal, and sends the browser on.
 * @throws oidc-provider's `SessionNotFound` when the browser holds no such interaction.
 */
export async function answerSignIn(
  provider: Provider,
  request: IncomingMessage,
  response: ServerResponse,
  form: URLSearchParams,
): Promise<void> {
  const interaction = await provider.interactionDetails(request, response);
  if (form.get(SIGN_IN_FORM.decision) !== SIGN_IN_FORM.allow) {
    await provider.interactionFinished(request, response, {
      error: 'access_denied',
      error_description: 'The person did not allow it',
    });
    return;
  }
  const accountId =
    interaction.session?.accountId || form.get(SIGN_IN_FORM.user)?.trim() || SIGN_IN_FORM.defaultUser;
  const scopes = requestedScopes(interaction);
  // A grant of its own for each sign-in, so that ending one login leaves the others alone.
  const grant = new provider.Grant({ accountId, clientId: parameter(interaction, 'client_id')[0] });
  grant.addOIDCScope(scopes);
  for (const resource of parameter(interaction, 'resource')) grant.addResourceScope(resource, scopes);
  await provider.interactionFinished(request, response, {
    login: { accountId },
    consent: { grantId: await grant.save() },
  });
}

function requestedScopes(interaction: Interaction): string[] {
  return parameter(interaction, 'scope').flatMap((scope) => scope.split(' '));
}

function parameter(interaction: Interaction, name: string): string[] {
  return [interaction.params[name]].flat().filter((value) => typeof value === 'string');
}
