/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "split-command.h"

#include <stdexcept>

namespace ns3qemu
{

std::vector<std::string>
SplitCommand(const std::string& text)
{
    std::vector<std::string> words;
    std::string word;
    bool within = false; // a word: it may be empty, as '' is
    char quote = 0;
    for (size_t i = 0; i < text.size(); i++)
    {
        const char c = text[i];
        const bool last = i + 1 == text.size();
        if (quote == '\'')
        {
            if (c == quote)
            {
                quote = 0;
            }
            else
            {
                word += c;
            }
        }
        else if (c == '\\')
        {
            if (last)
            {
                throw std::invalid_argument("nothing follows the last backslash of: " + text);
            }
            const char next = text[++i];
            /* Within "..." it is an ordinary character unless it protects one that is not. */
            if (quote && next != '"' && next != '\\' && next != '$' && next != '`')
            {
                word += c;
            }
            word += next;
            within = true;
        }
        else if (quote)
        {
            if (c == quote)
            {
                quote = 0;
            }
            else
            {
                word += c;
            }
        }
        else if (c == '\'' || c == '"')
        {
            quote = c;
            within = true;
        }
        else if (c == ' ' || c == '\t' || c == '\n')
        {
            if (within)
            {
                words.push_back(word);
                word.clear();
                within = false;
            }
        }
        else
        {
            word += c;
            within = true;
        }
    }
    if (quote)
    {
        throw std::invalid_argument(std::string("a ") + quote + " has no counterpart in: " + text);
    }
    if (within)
    {
        words.push_back(word);
    }
    return words;
}

} // namespace ns3qemu
