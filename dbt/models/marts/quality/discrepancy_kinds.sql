{#
    Every kind of discrepancy there is, in the words of an accounts clerk. `one` and `many` follow a
    number ("2 firewalls without a billing licence"), `consequence` an amount ("42.35 USD not billed"). What to
    do stands in each discrepancy's `action`; docs/discrepancies.md lists both.
#}
select *
from
    (
        values
            (
                'missing_file',
                'blocking',
                'R3',
                'missing file that could change this invoice',
                'missing files that could change this invoice',
                ''
            ),
            (
                'missing_file',
                'info',
                'R3',
                'missing file that changes no invoice, or none yet',
                'missing files that change no invoice, or none yet',
                ''
            ),
            (
                'missing_file_healed',
                'info',
                'R3',
                'missing file whose activity a later one shows',
                'missing files whose activity a later one shows',
                ''
            ),
            (
                'refused_file',
                'warning',
                '',
                'delivery refused while an earlier file counts',
                'deliveries refused while an earlier file counts',
                ''
            ),
            (
                'registry_gap',
                'warning',
                'R11',
                'day without a registry snapshot',
                'days without a registry snapshot',
                ''
            ),
            (
                'quarantined_rows',
                'warning',
                'R3',
                'row set aside because it could not be read',
                'rows set aside because they could not be read',
                ''
            ),
            (
                'feed_volume',
                'warning',
                '',
                'file much larger or smaller than usual',
                'files much larger or smaller than usual',
                ''
            ),
            (
                'orphan_usage',
                'warning',
                'R10',
                'active user or device of a customer nobody knows',
                'active users and devices of customers nobody knows',
                ''
            ),
            (
                'orphan_heartbeat',
                'warning',
                'R10',
                'active firewall of nobody we know',
                'active firewalls of nobody we know',
                ''
            ),
            (
                'unknown_partner',
                'warning',
                'R10',
                'active user or device of a customer whose partner is not known',
                'active users and devices of customers whose partner is not known',
                ''
            ),
            (
                'unknown_product',
                'warning',
                'R4',
                'active user or device of a product that is not in the reference data',
                'active users and devices of a product that is not in the reference data',
                ''
            ),
            (
                'usage_of_firewall_product',
                'warning',
                'R10',
                'device whose usage names a product counted by firewall',
                'devices whose usage names a product counted by firewall',
                'not billed'
            ),
            (
                'unlicensed_usage',
                'warning',
                'R13',
                'user or device without a licence',
                'users and devices without a licence',
                'not billed'
            ),
            (
                'firewall_unlicensed',
                'warning',
                'R10',
                'active firewall without a billing licence',
                'active firewalls without a billing licence',
                'not billed'
            ),
            (
                'ha_licence_silent',
                'warning',
                'R9',
                'firewall cluster whose licence is on a member that is silent',
                'firewall clusters whose licence is on a member that is silent',
                'not billed'
            ),
            (
                'firewall_silent',
                'info',
                'R10',
                'licensed firewall that sent no heartbeat',
                'licensed firewalls that sent no heartbeat',
                ''
            ),
            (
                'firewall_two_products',
                'warning',
                'R9',
                'firewall licensed for two products at once',
                'firewalls licensed for two products at once',
                'perhaps billed twice'
            ),
            (
                'heartbeat_customer_differs',
                'warning',
                'R9',
                'firewall that reports under another customer than its licence',
                'firewalls that report under another customer than their licence',
                ''
            ),
            (
                'unknown_operating_system',
                'warning',
                'R9',
                'licensed firewall whose operating system is not in the list',
                'licensed firewalls whose operating system is not in the list',
                'not billed'
            ),
            (
                'duplicate_hardware',
                'warning',
                'R7',
                'unit that may be a device or firewall counted under a second id',
                'units that may be devices or firewalls counted under a second id',
                'perhaps billed twice'
            ),
            (
                'device_at_two_customers',
                'warning',
                'R8',
                'device seen at two customers on one day',
                'devices seen at two customers on one day',
                'billed to one of them'
            ),
            (
                'device_moved',
                'info',
                'R8',
                'user or device that moved to another customer',
                'users and devices that moved to another customer',
                ''
            ),
            (
                'identifier_is_email',
                'warning',
                'R24',
                'user or device id that is an e-mail address',
                'user and device ids that are e-mail addresses',
                ''
            ),
            (
                'twin_names',
                'warning',
                'R7',
                'customer or partner with the name of another',
                'customers and partners that share a name',
                ''
            ),
            (
                'customer_vanished',
                'warning',
                'R11',
                'customer that left the registry without being closed',
                'customers that left the registry without being closed',
                ''
            ),
            (
                'registry_conflict',
                'warning',
                'R11',
                'registry entry that two sources hold',
                'registry entries that two sources hold',
                ''
            ),
            (
                'unapproved_transfer',
                'blocking',
                'R14',
                'customer that changed partner without all three approvals',
                'customers that changed partner without all three approvals',
                'in question'
            ),
            (
                'monthly_outside_flex',
                'blocking',
                'R15',
                'monthly licence of a partner outside Connect Flex',
                'monthly licences of partners outside Connect Flex',
                'not billed'
            ),
            (
                'excluded_territory',
                'blocking',
                'R16',
                'monthly licence of a partner in a country that is not sold to, or in none that ISO 3166-1 knows',
                'monthly licences of partners in countries that are not sold to, or in none that ISO 3166-1 knows',
                'not billed'
            ),
            (
                'partner_resale',
                'blocking',
                'R16',
                'monthly licence of a partner that buys through another partner',
                'monthly licences of partners that buy through another partner',
                'not billed'
            ),
            (
                'legacy_programme_registration',
                'warning',
                'R15',
                'partner registered under a programme that takes nobody new',
                'partners registered under a programme that takes nobody new',
                ''
            ),
            (
                'stale_trial',
                'warning',
                'R16',
                'trial that has run too long',
                'trials that have run too long',
                'not billed'
            ),
            (
                'term_overuse',
                'warning',
                'R16',
                'unit used above what the customer bought for a term',
                'units used above what the customers bought for a term',
                'not paid for'
            ),
            (
                'term_licence_shared',
                'warning',
                'R16',
                'term licence that several customers use',
                'term licences that several customers use',
                ''
            ),
            ('price_missing', 'blocking', 'R18', 'invoice line without a price', 'invoice lines without a price', ''),
            ('price_ambiguous', 'blocking', 'R18', 'invoice line with two prices', 'invoice lines with two prices', ''),
            (
                'swing',
                'blocking',
                'R22',
                'jump of a partner''s use of a product since the window before',
                'jumps of partners'' use of a product since the window before',
                'of difference'
            ),
            (
                'portal_mismatch',
                'warning',
                '',
                'unit of difference to the vendor portal''s count',
                'units of difference to the vendor portal''s count',
                'between the two'
            ),
            (
                'psa_mismatch',
                'warning',
                '',
                'unit of difference to what the partner bills its customer',
                'units of difference to what the partner bills its customer',
                'between the two'
            ),
            (
                'psa_without_licence',
                'warning',
                'R12',
                'unit that a partner bills its customer without a licence',
                'units that partners bill their customers without a licence',
                'of list price billed in vain'
            ),
            (
                'unknown_psa_company',
                'warning',
                '',
                'unit that a partner bills a company nobody knows',
                'units that partners bill companies nobody knows',
                'of list price billed there'
            ),
            (
                'unbilled_correction',
                'warning',
                'R25',
                'unit of an issued month that became known too late for a note',
                'units of issued months that became known too late for a note',
                'not billed or credited'
            )
    ) as kinds(kind, severity, rule, one, many, consequence)
