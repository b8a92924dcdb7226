'use strict';
/** Why there is no connection, in one word: the name of a status. What a person has to put right has a word of its own. */

const REASONS = {
  HQ_NOT_AUTHENTICATED: 'refused',
  HQ_UPDATE_HUB: 'updateHub',
  HQ_UPDATE_NODES: 'updateNodes',
  HQ_PROTOCOL: 'noHub',
  ENOTFOUND: 'unknownHost',
  EAI_AGAIN: 'unknownHost',
};
const NO_TLS = /^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG)$/; // the other side speaks, but not TLS
const CERTIFICATE = /CERT|SIGNATURE|_CRL|HOSTNAME_MISMATCH|INVALID_(CA|PURPOSE)|PATH_LENGTH|ERR_TLS|ERR_SSL|ERR_OSSL/; // of either side, as OpenSSL calls it

/** refused, certificate, unknownHost, noHub, updateHub, updateNodes or disconnected. */
function reasonOf({ code = '' }) {
  if (Object.hasOwn(REASONS, code)) {
    return REASONS[code];
  }
  return NO_TLS.test(code) ? 'noHub' : CERTIFICATE.test(code) ? 'certificate' : 'disconnected';
}

module.exports = { reasonOf };
