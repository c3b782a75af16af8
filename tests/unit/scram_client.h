/*
 * tests/unit/scram_client.h - the client's side of SCRAM-SHA-256, for those who test the
 * server's: written from RFC 5802 with OpenSSL and nothing of weir's.
 *
 *      scram_client_answer(&client, "n=,r=abc", server_first, "biws", "password");
 *      ... client.final is what a client would say, client.verdict what it waits for
 */
#ifndef TESTS_UNIT_SCRAM_CLIENT_H
#define TESTS_UNIT_SCRAM_CLIENT_H

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct scram_client {
    char final[1024];  /* c=...,r=...,p=... */
    char verdict[128]; /* v=... */
};

static inline void scram_client_hmac(const uint8_t key[32], const char *text, uint8_t code[32])
{
    HMAC(EVP_sha256(), key, 32, (const uint8_t *)text, strlen(text), code, NULL);
}

static inline void scram_client_answer(struct scram_client *client, const char *first_bare,
                                       const char *server_first, const char *header,
                                       const char *password)
{
    char nonce[256], salt_text[256], said[2048], base64[64];
    uint8_t salt[256], salted[32], client_key[32], server_key[32], stored_key[32], code[32];
    unsigned rounds;
    int padding;

    cr_assert_eq(sscanf(server_first, "r=%255[^,],s=%255[^,],i=%u", nonce, salt_text, &rounds), 3);
    padding = (int)strlen(salt_text) - (int)strcspn(salt_text, "=");
    PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt,
                      EVP_DecodeBlock(salt, (uint8_t *)salt_text, (int)strlen(salt_text)) - padding,
                      (int)rounds, EVP_sha256(), 32, salted);
    scram_client_hmac(salted, "Client Key", client_key);
    scram_client_hmac(salted, "Server Key", server_key);
    SHA256(client_key, 32, stored_key);

    snprintf(client->final, sizeof(client->final), "c=%s,r=%s", header, nonce);
    snprintf(said, sizeof(said), "%s,%s,%s", first_bare, server_first, client->final);
    scram_client_hmac(stored_key, said, code);
    for (int i = 0; i < 32; i++)
        code[i] ^= client_key[i];
    EVP_EncodeBlock((uint8_t *)base64, code, 32);
    strcat(strcat(client->final, ",p="), base64);
    scram_client_hmac(server_key, said, code);
    EVP_EncodeBlock((uint8_t *)base64, code, 32);
    snprintf(client->verdict, sizeof(client->verdict), "v=%s", base64);
}

#endif
