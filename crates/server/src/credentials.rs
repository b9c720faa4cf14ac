//! Passwords, API keys and the operator's token: how they are made, hashed and checked. None is ever logged.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sentinelflow_domain::{
    store::{Store, StoreError},
    tenant::{ApiKeyHash, PasswordHash, Tenant, Username},
};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use thiserror::Error;
use tokio::sync::Semaphore;

const API_KEY_PREFIX: &str = "sf_";
/// One hash takes 19 MiB and about 20 ms; more at once would let a flood of sign-ins take the machine.
const HASHES_AT_ONCE: usize = 2;
/// Beyond this many remembered passwords the memory starts anew.
const REMEMBERED_MAX: usize = 10_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Password(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be 6 to 1024 characters")]
pub struct InvalidPassword;

impl TryFrom<String> for Password {
    type Error = InvalidPassword;

    fn try_from(raw: String) -> Result<Self, InvalidPassword> {
        if (6..=1024).contains(&raw.chars().count()) { Ok(Self(raw)) } else { Err(InvalidPassword) }
    }
}

/// An API key in the clear: shown to its owner once, never stored.
pub struct ApiKey(String);

impl ApiKey {
    /// Returns a key with 256 random bits.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bits = [0_u8; 32];
        getrandom::fill(&mut bits)?;
        Ok(Self(format!("{API_KEY_PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bits))))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn hash(&self) -> ApiKeyHash {
        hash_api_key(&self.0)
    }
}

pub fn hash_api_key(key: &str) -> ApiKeyHash {
    ApiKeyHash(Sha256::digest(key).into())
}

/// The token by which an operator is known: only its hash is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorToken(ApiKeyHash);

#[derive(Debug, Error)]
pub enum InvalidOperatorToken {
    #[error("can't be read: {0}")]
    Unreadable(#[from] io::Error),
    #[error("is open to every user of this machine: take that away with chmod o= FILE")]
    Exposed,
    #[error("must hold 32 to 1024 visible ASCII characters, and nothing else")]
    Malformed,
}

impl OperatorToken {
    /// Reads the token that a file holds, with or without white space around it.
    pub fn read(path: &Path) -> Result<Self, InvalidOperatorToken> {
        const LONGEST: usize = 1024;
        let file = File::open(path)?;
        // A group may read it: that is how a secret of root's is lent to a service.
        if file.metadata()?.permissions().mode() & 0o007 != 0 {
            return Err(InvalidOperatorToken::Exposed);
        }
        let text = io::read_to_string(file.take(2 * LONGEST as u64))?;
        let token = text.trim();
        let is_usable =
            (32..=LONGEST).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
        if is_usable { Ok(Self(hash_api_key(token))) } else { Err(InvalidOperatorToken::Malformed) }
    }

    /// Tells whether this is the token, in a time that doesn't tell how much of it is right.
    pub fn is(&self, presented: &str) -> bool {
        self.0.0.ct_eq(&hash_api_key(presented).0).into()
    }
}

#[derive(Debug, Error)]
pub enum CredentialsError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a password can't be hashed: {0}")]
    Hashing(String),
}

pub struct Credentials {
    desks: Arc<Semaphore>,
    /// Makes what is remembered useless outside this process.
    secret: [u8; 32],
    /// Passwords that were right, so that HTTP Basic doesn't pay for Argon2 with every request:
    /// digest of name and password → the stored hash they were checked against.
    remembered: Mutex<HashMap<[u8; 32], PasswordHash>>,
    /// Checked where there is no such tenant, so that the time doesn't tell.
    decoy: PasswordHash,
}

impl Credentials {
    pub fn new() -> Result<Self, CredentialsError> {
        let mut secret = [0_u8; 32];
        getrandom::fill(&mut secret).map_err(|error| CredentialsError::Hashing(error.to_string()))?;
        // The parameters are those of `Argon2::default`; the salt and the hash belong to no password.
        let decoy = "$argon2id$v=19$m=19456,t=2,p=1$c2VudGluZWxmbG93LWRlY295$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        Ok(Self {
            desks: Arc::new(Semaphore::new(HASHES_AT_ONCE)),
            secret,
            remembered: Mutex::default(),
            decoy: PasswordHash::new(decoy.to_owned()),
        })
    }

    /// Returns the Argon2id hash of a password, with a salt of its own.
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, CredentialsError> {
        let hashed = self.at_a_desk(move || {
            Argon2::default().hash_password(password.0.as_bytes()).map(|hash| hash.to_string())
        });
        hashed.await?.map(PasswordHash::new).map_err(|error| CredentialsError::Hashing(error.to_string()))
    }

    /// Returns the tenant that an API key belongs to.
    pub async fn by_api_key(&self, store: &dyn Store, key: &str) -> Result<Option<Tenant>, CredentialsError> {
        if !key.starts_with(API_KEY_PREFIX) {
            return Ok(None);
        }
        Ok(store.tenant_with_key(&hash_api_key(key)).await?)
    }

    /// Returns the tenant of that name if the password is right.
    pub async fn by_password(
        &self,
        store: &dyn Store,
        name: &str,
        password: &str,
    ) -> Result<Option<Tenant>, CredentialsError> {
        let tenant = match name.parse::<Username>() {
            Ok(name) => store.tenant_named(&name).await?,
            Err(_) => None,
        };
        let stored = match &tenant {
            Some(tenant) => store.password_of(tenant.id).await?,
            None => None,
        };
        let digest = self.digest(name, password);
        if stored.is_some() && self.is_remembered(&digest, stored.as_ref()) {
            return Ok(tenant);
        }
        let is_known = stored.is_some();
        let checked = stored.unwrap_or_else(|| self.decoy.clone());
        let is_right = self.verify(password.to_owned(), checked.clone()).await?;
        if !(is_known && is_right) {
            return Ok(None);
        }
        self.remember(digest, checked);
        Ok(tenant)
    }

    async fn verify(&self, password: String, stored: PasswordHash) -> Result<bool, CredentialsError> {
        self.at_a_desk(move || {
            let stored = phc::PasswordHash::new(stored.as_str());
            stored.map(|stored| Argon2::default().verify_password(password.as_bytes(), &stored).is_ok())
        })
        .await?
        .map_err(|error| CredentialsError::Hashing(error.to_string()))
    }

    /// Runs a slow computation on a blocking thread, once a desk is free.
    async fn at_a_desk<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, CredentialsError> {
        let desk = Arc::clone(&self.desks).acquire_owned().await.expect("the desks are never closed");
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(desk);
            result
        });
        done.await.map_err(|error| CredentialsError::Hashing(error.to_string()))
    }

    fn digest(&self, name: &str, password: &str) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(self.secret);
        digest.update(name.to_ascii_lowercase());
        digest.update([0]);
        digest.update(password);
        digest.finalize().into()
    }

    /// A changed password has another stored hash, so what is remembered of the old one no longer fits.
    fn is_remembered(&self, digest: &[u8; 32], stored: Option<&PasswordHash>) -> bool {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        match (remembered.get(digest), stored) {
            (Some(then), Some(now)) => then.as_str().as_bytes().ct_eq(now.as_str().as_bytes()).into(),
            _ => false,
        }
    }

    fn remember(&self, digest: [u8; 32], stored: PasswordHash) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(digest, stored);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_and_hold_256_bits() {
        let (one, other) = (ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
        assert_ne!(one.as_str(), other.as_str());
        let bits = BASE64_URL_SAFE_NO_PAD.decode(one.as_str().strip_prefix(API_KEY_PREFIX).unwrap()).unwrap();
        assert_eq!(bits.len(), 32);
    }

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let credentials = Credentials::new().unwrap();
        let hash = credentials.hash(Password::try_from("s3cure".to_owned()).unwrap()).await.unwrap();
        assert!(hash.as_str().starts_with("$argon2id$"));
        assert!(credentials.verify("s3cure".into(), hash.clone()).await.unwrap());
        assert!(!credentials.verify("S3cure".into(), hash).await.unwrap());
        assert!(!credentials.verify("s3cure".into(), credentials.decoy.clone()).await.unwrap());
    }

    #[test]
    fn passwords_are_bounded() {
        for (raw, is_valid) in [("", false), ("short", false), ("s3cure", true), (&"x".repeat(1025), false)] {
            assert_eq!(Password::try_from(raw.to_owned()).is_ok(), is_valid, "{raw}");
        }
    }
}
