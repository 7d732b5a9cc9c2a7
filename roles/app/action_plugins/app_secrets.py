"""Read the encrypted secrets of an environment and generate, once, those that are missing."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from pathlib import Path

import yaml
from ansible.errors import AnsibleActionFail
from ansible.parsing.vault import AnsibleVaultError, VaultLib, VaultSecret, is_encrypted
from ansible.plugins.action import ActionBase

# What scripts/vault-password answers where no password was chosen yet.
NO_PASSWORD = b"slipway-has-no-vault-password-yet"
_HEAD = "# Secrets of this environment. Change them with: ansible-vault edit {path}\n"


class ActionModule(ActionBase):
    """Return the secrets named in ``generate`` as ``secrets``; write the file where one had to be made.

    Arguments: ``file`` (path of the encrypted YAML file), ``password_file`` (where a new password is put when
    the run was given none), ``generate`` (dict: variable name to length in bytes before encoding).
    """

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        """See the class. Raises AnsibleActionFail where the file cannot be decrypted with the run's password."""
        super().run(tmp, task_vars)
        file = Path(self._task.args["file"])
        password_file = Path(self._task.args["password_file"])
        vault = VaultLib(self._vault_secrets(password_file))
        stored = self._read(file, vault, password_file)
        # Through JSON, so that plain strings go into the file and not Ansible's tagged ones.
        wanted = json.loads(json.dumps(self._task.args["generate"]))
        missing = {name: size for name, size in wanted.items() if not stored.get(name)}
        made = {name: secrets.token_urlsafe(int(size)) for name, size in missing.items()}
        result = {
            "changed": bool(made),
            "secrets": {**stored, **made},
            "generated": sorted(made),
            "_ansible_no_log": True,
        }
        if made and not self._task.check_mode:
            if not vault.secrets:
                vault = VaultLib([("default", self._new_password(password_file))])
            self._write(file, {**stored, **made}, vault)
        return result

    def _vault_secrets(self, password_file: Path) -> list:
        """Return the run's vault secrets, less the word that stands for none."""
        given = [
            (name, secret)
            for name, secret in (self._loader._vault.secrets or [])
            if secret.bytes.strip() != NO_PASSWORD
        ]
        if not given and password_file.is_file():
            given = [("default", VaultSecret(password_file.read_bytes().strip()))]
        return given

    def _read(self, file: Path, vault: VaultLib, password_file: Path) -> dict:
        if not file.is_file():
            return {}
        content = file.read_bytes()
        if is_encrypted(content):
            if not vault.secrets:
                raise AnsibleActionFail(
                    f"{file} is encrypted, and this run has no vault password. Put it on one line in {password_file}"
                    " (mode 0600), or name its file: --vault-password-file FILE, or ANSIBLE_VAULT_PASSWORD_FILE."
                )
            try:
                content = vault.decrypt(content)
            except AnsibleVaultError as error:
                raise AnsibleActionFail(f"{file} was encrypted with another vault password than this run's.") from error
        stored = yaml.safe_load(content) or {}
        if not isinstance(stored, dict):
            raise AnsibleActionFail(f"{file} holds no variables. Expected: lines of the form name: value.")
        return stored

    def _new_password(self, password_file: Path) -> VaultSecret:
        """Choose a vault password and keep it where scripts/vault-password finds it."""
        password = secrets.token_urlsafe(32).encode()
        descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(password + b"\n")
        self._display.warning(
            f"A new vault password was put into {password_file}. Keep a copy of it in a safe place:"
            " without it nobody can read or change the secrets of this environment."
            + ("" if password_file.name == ".vault-password" else f" Runs want --vault-password-file {password_file}")
        )
        return VaultSecret(password)

    def _write(self, file: Path, content: dict, vault: VaultLib) -> None:
        """Replace the encrypted file in one rename, so that a killed run leaves the old one or the new one."""
        text = _HEAD.format(path=os.path.relpath(file)) + yaml.safe_dump(content, allow_unicode=True)
        name, secret = vault.secrets[0]
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, part = tempfile.mkstemp(dir=file.parent, prefix=".vault-")
        try:
            with os.fdopen(descriptor, "wb") as handle:
                handle.write(vault.encrypt(text, secret=secret, vault_id=None if name == "default" else name))
                handle.flush()
                os.fsync(handle.fileno())
            os.replace(part, file)
        except BaseException:
            os.unlink(part)
            raise
